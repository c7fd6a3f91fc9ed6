"""The tests for copies: known values, patients, size under honest generators, and copiers that are caught."""

import json

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from morphoscope.configs import UserError
from morphoscope.generate.metrics import CopyingReport, RealFeatures, copying, measure_copying
from morphoscope.generate.metrics.neighbours import nearest

NAMES = ("dark", "pale")


def real(random, patients, images=1, offset=0):
    """Real images of two conditions, `images` nearly equal ones for each of `patients` in each condition."""
    centres = np.repeat(random.normal(size=(2 * patients, 12)), images, axis=0)
    features = centres + random.normal(0, 0.1, centres.shape)
    groups = np.repeat([f"patient {offset + k}" for k in range(2 * patients)], images)
    return RealFeatures(features, np.repeat(NAMES, patients * images), groups)


def honest(random, images=60):
    return {name: random.normal(size=(images, 12)) for name in NAMES}


def copies(random, training, images=60):
    """Images of the training part, slightly changed."""
    chosen = {name: np.flatnonzero(training.conditions == name) for name in NAMES}
    picked = {name: training.features[random.choice(own, images)] for name, own in chosen.items()}
    return {name: found + random.normal(0, 0.02, found.shape) for name, found in picked.items()}


@pytest.fixture
def few_exchanges(monkeypatch):
    monkeypatch.setattr(copying, "_EXCHANGES", 199)


def test_c_t_is_the_standardised_rank_sum_of_scipy_weighted_by_conditions():
    random = np.random.default_rng(0)
    training, held_out, generated = real(random, 20), real(random, 10, offset=100), honest(random)
    report = measure_copying("x", training, held_out, generated)
    z = {}
    for name in NAMES:
        found = report.by_condition[name]
        of_held_out = nearest(held_out.features[held_out.conditions == name], training.features)[0]
        of_generated = nearest(generated[name], training.features)[0]
        test = mannwhitneyu(
            of_generated[:, 0],
            of_held_out[:, 0],
            alternative="less",
            method="asymptotic",
            use_continuity=False,
        )
        assert found.p_value == pytest.approx(test.pvalue)
        assert found.closer.value == pytest.approx(1 - test.statistic / (60 * 10))
        assert found.closer.low < found.closer.value < found.closer.high
        assert (found.generated, found.training, found.held_out, found.patients) == (60, 20, 10, 10)
        z[name] = found.c_t
    assert report.overall.c_t == pytest.approx(np.mean(list(z.values())))
    assert report.overall.p_value == pytest.approx(norm.cdf(sum(z.values()) / np.sqrt(2)))


def test_copies_are_caught_overall_and_by_condition():
    random = np.random.default_rng(0)
    training, held_out = real(random, 20), real(random, 10, offset=100)
    generated = honest(random) | {"dark": copies(random, training)["dark"]}
    report = measure_copying("x", training, held_out, generated)
    dark, pale = report.by_condition["dark"], report.by_condition["pale"]
    assert dark.closer.low > 0.8 and dark.c_t < -4 and dark.pull > 0.5
    assert max(dark.p_value, dark.pull_p_value, report.overall.p_value, report.overall.pull_p_value) < 0.002
    assert min(pale.p_value, pale.pull_p_value) > 0.01


def test_images_without_detail_are_close_to_everything_but_no_copies():
    random = np.random.default_rng(0)
    training, held_out = real(random, 30), real(random, 15, offset=100)
    blurred = {name: 0.4 * found for name, found in honest(random).items()}
    overall = measure_copying("x", training, held_out, blurred).overall
    assert overall.p_value < 1e-4  # Meehan's test alone would call them copies
    assert overall.pull_p_value > 0.05


@pytest.mark.parametrize("images", [1, 6])
def test_honest_generators_are_rejected_at_most_as_often_as_stated(few_exchanges, images):
    """Also if patients have several images, which a test that took them to be independent would not allow."""
    random, found = np.random.default_rng(images), []
    for _ in range(100):
        training, held_out = real(random, 8, images), real(random, 5, images, offset=100)
        overall = measure_copying("x", training, held_out, honest(random, 40)).overall
        found.append((overall.p_value <= 0.05, overall.pull_p_value <= 0.05))
    assert np.mean(found, axis=0).max() < 0.12  # 0.05 in truth: 12 or more of 100 have probability 0.004


def test_too_few_patients_give_no_test(few_exchanges):
    random = np.random.default_rng(0)
    training = real(random, 10)
    assert measure_copying("x", training, real(random, 1, 5, offset=100), honest(random)) is None
    report = measure_copying("x", training, real(random, 3, offset=100), honest(random))
    assert report.overall.patients == 6
    assert report.by_condition == {}


def test_a_report_survives_json(few_exchanges):
    random = np.random.default_rng(0)
    report = measure_copying("x", real(random, 8), real(random, 5, offset=100), honest(random))
    assert CopyingReport.from_json(json.loads(json.dumps(report.as_json()))) == report
    assert report.named_values()["closer_x/dark"] == report.by_condition["dark"].closer.value
    with pytest.raises(UserError, match="copies"):
        CopyingReport.from_json({"network": "x", "overall": 3, "by_condition": {}})
