"""All metrics of a cohort: by condition with intervals and floors, and what too few images leave out."""

import logging
import math

import numpy as np
import pytest

from morphoscope.generate.metrics import RealFeatures, measure_similarity

NAMES = ("dark", "pale")
DIMENSIONS = 6


def real(random, patients=20, images=1):
    """Images of two conditions that differ by a shift."""
    centres = np.repeat(random.normal(size=(2 * patients, DIMENSIONS)), images, axis=0)
    features = centres + random.normal(0, 0.1, centres.shape)
    features[patients * images :] += 3
    groups = np.repeat([f"patient {k}" for k in range(2 * patients)], images)
    return RealFeatures(features, np.repeat(NAMES, patients * images), groups)


def like_real(random, images=40):
    return {name: random.normal(3 * k, 1, (images, DIMENSIONS)) for k, name in enumerate(NAMES)}


def by_key(measures):
    return {measure.key: measure for measure in measures}


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_images_like_the_real_ones_reach_the_floor(random):
    found = by_key(measure_similarity("x", real(random), like_real(random)))
    for key in ("kid", "precision", "recall", "density", "coverage", "diversity"):
        for one in (found[key].overall, *found[key].by_condition.values()):
            assert one.estimate.low <= one.estimate.value <= one.estimate.high
            assert math.isfinite(one.floor)
    assert found["kid"].overall.estimate.low < 0 < found["kid"].overall.estimate.high
    assert found["density"].overall.estimate.low < 1 < found["density"].overall.estimate.high
    precision = found["precision"].overall
    assert precision.beside_floor == pytest.approx(precision.floor, abs=0.12)
    assert list(found["kid"].by_condition) == list(NAMES)


def test_the_condition_that_is_made_worst_comes_first(random):
    generated = like_real(random)
    generated["pale"] = generated["pale"] + 2
    found = by_key(measure_similarity("x", real(random), generated))
    for key in ("kid", "fd", "precision", "recall", "coverage"):
        assert found[key].worst_first() == ["pale", "dark"]
    kid = found["kid"].by_condition
    assert kid["pale"].estimate.low > kid["pale"].floor and kid["dark"].estimate.low < 0


def test_the_kernel_distance_of_several_conditions_is_unbiased(random):
    """Also though the numbers of images of each condition are fixed, and conditions differ by far."""
    overall = [
        by_key(measure_similarity("x", real(random, 6), like_real(random, 12)))["kid"].overall
        for _ in range(60)
    ]
    for values in ([one.estimate.value for one in overall], [one.floor for one in overall]):
        assert np.mean(values) == pytest.approx(0, abs=4 * np.std(values) / 60**0.5)


def test_a_collapse_shows_in_recall_diversity_and_repeated_pairs_and_not_in_precision(random):
    generated = like_real(random)
    generated["dark"] = np.repeat(random.normal(0, 0.1, (2, DIMENSIONS)), 20, axis=0)
    dark = {
        key: one.by_condition["dark"].estimate.value
        for key, one in by_key(measure_similarity("x", real(random), generated)).items()
    }
    assert dark["precision"] == 1
    assert dark["recall"] < 0.1 and dark["diversity"] < 0.1
    assert dark["repeated"] > 0.4


def test_names_say_the_network_and_reserved_ones_belong_to_inception(random):
    names = {measure.name for measure in measure_similarity("x", real(random), like_real(random))}
    assert {"kid_x", "fd_x", "precision_x"} <= names
    reserved = measure_similarity("inception", real(random), like_real(random))
    assert {"kid", "fid", "precision_inception"} <= {measure.name for measure in reserved}
    titles = {measure.title for measure in reserved}
    assert {"KID", "FID", "precision (inception)"} <= titles
    assert measure_similarity("x", real(random), like_real(random))[0].title == "KID (x)"


def test_values_for_programs(random):
    kid = by_key(measure_similarity("x", real(random), like_real(random)))["kid"]
    values = kid.named_values()
    assert values["kid_x"] == kid.overall.estimate.value
    low, high = values["kid_x_interval/dark"]
    assert low < values["kid_x/dark"] < high
    assert {"kid_x_floor", "kid_x_beside_floor/pale"} <= values.keys()


def test_conditions_with_too_few_images_are_named_and_count_overall(random, caplog):
    reals = real(random, patients=5)
    with caplog.at_level(logging.WARNING):
        found = by_key(measure_similarity("x", reals, like_real(random)))
    assert "No intervals for dark, pale: fewer than 6 patients" in caplog.text
    dark = found["precision"].by_condition["dark"]
    assert math.isfinite(dark.estimate.value) and not dark.has_interval
    assert math.isnan(found["density"].by_condition["dark"].estimate.value)  # all balls would contain all
    assert dark.text(3).count("(") == 0
    assert found["precision"].overall.has_interval  # ten patients

    few = RealFeatures(*(part[:-2] for part in (reals.features, reals.conditions, reals.groups)))
    assert list(by_key(measure_similarity("x", few, like_real(random)))["kid"].by_condition) == ["dark"]


def test_intervals_are_wider_if_a_patient_has_several_images(random):
    def width(images):
        reals = real(np.random.default_rng(1), patients=12, images=images)
        low, high = by_key(measure_similarity("x", reals, like_real(random)))["kid"].overall.estimate[1:]
        return high - low

    assert width(6) > 0.6 * width(1)  # as if they were independent, they would be 0.4 of that


def test_a_seed_gives_the_same_numbers(random):
    reals, generated = real(random), like_real(random)
    assert measure_similarity("x", reals, generated, 3) == measure_similarity("x", reals, generated, 3)
