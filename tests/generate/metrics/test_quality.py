"""The quality meter: good, shifted and collapsed generators, its seeds, and the names of its values."""

import json
import logging

import numpy as np
import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.generate.metrics import Quality, QualityMeter, QualityReport

SIZE = 16
LEVELS = {"dark": 60, "pale": 190}  # of the tiny cohort


class Generator:
    """Noise around a condition's level, like the tiny cohort, one image per seed; records the seeds."""

    def __init__(self, shift=0, sd=16, collapsed=()):
        self.shift = shift
        self.sd = sd
        self.collapsed = collapsed
        self.seeds = {}

    def __call__(self, condition, seeds):
        self.seeds.setdefault(condition, []).extend(seeds)
        return np.stack([self.image(condition, 0 if condition in self.collapsed else s) for s in seeds])

    def image(self, condition, seed):
        noise = np.random.default_rng(seed).normal(0, self.sd, (SIZE, SIZE, 3))
        return np.clip(LEVELS[condition] + self.shift + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def reals(tiny_cohort):
    return tiny_cohort.select(tiny_cohort.rows["fold"] != "test")


@pytest.fixture
def meter(make_network, reals):
    return QualityMeter(make_network(), reals, SIZE)


def test_real_images_have_no_distance_from_themselves(make_network, reals):
    meter = QualityMeter(make_network(), reals, SIZE)
    pixels, labels = reals.images(SIZE), reals.labels

    def sample(condition, seeds):
        return pixels[labels == reals.conditions.index(condition)][: len(seeds)]

    report = meter.measure(sample, images=9)
    for quality in [report.overall, *report.by_condition.values()]:
        assert quality.frechet == pytest.approx(0, abs=1e-6)
        assert quality.kernel < quality.kernel_deviation
        assert quality.relative_diversity == pytest.approx(1)
    assert report.overall.generated == report.overall.real == 18


def test_distances_grow_with_a_shift(meter):
    near, far = (meter.measure(Generator(shift), images=20) for shift in (0, 60))
    for name in LEVELS:
        assert far.by_condition[name].frechet > near.by_condition[name].frechet + 1
        assert far.by_condition[name].kernel > near.by_condition[name].kernel
    assert far.overall.frechet > near.overall.frechet + 1


def test_a_collapse_shows_in_the_diversity_of_that_condition_only(meter):
    report = meter.measure(Generator(collapsed=["pale"]), images=20)
    assert report.by_condition["pale"].relative_diversity == 0
    assert report.by_condition["pale"].different == 1
    assert report.by_condition["dark"].relative_diversity > 0.5
    assert report.by_condition["dark"].repeated == 0


def test_seeds_are_those_of_a_synthetic_cohort(meter):
    generator = Generator()
    report = meter.measure(generator, images=70, seed=5)
    assert generator.seeds["dark"] == list(range(5, 145, 2))
    assert generator.seeds["pale"] == list(range(6, 146, 2))
    assert report == meter.measure(Generator(), images=70, seed=5)


def test_global_random_numbers_are_not_used(meter):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    meter.measure(Generator(), images=8)
    assert torch.equal(torch_before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])


def test_the_overall_set_has_the_proportions_of_the_real_images(make_network, tiny_cohort):
    dark = np.flatnonzero(tiny_cohort.labels == 0)
    pale = np.flatnonzero(tiny_cohort.labels == 1)
    meter = QualityMeter(make_network(), tiny_cohort.select([*dark[:12], *pale[:4]]), SIZE)
    report = meter.measure(Generator(), images=30)
    assert report.overall.generated == 30 + 10
    assert report.overall.real == 16
    assert {name: quality.generated for name, quality in report.by_condition.items()} == {
        "dark": 30,
        "pale": 30,
    }


def test_a_condition_with_too_few_real_images_counts_only_overall(make_network, tiny_cohort, caplog):
    dark, pale = (np.flatnonzero(tiny_cohort.labels == k) for k in range(2))
    with caplog.at_level(logging.WARNING):
        meter = QualityMeter(make_network(), tiny_cohort.select([*dark, *pale[:3]]), SIZE)
    assert caplog.text.count("pale") == 1
    report = meter.measure(Generator(), images=8)
    assert list(report.by_condition) == ["dark"]
    assert report.overall.generated == 8 + 2


def test_a_condition_without_real_images_is_not_generated(make_network, tiny_cohort):
    generator = Generator()
    dark = tiny_cohort.select(tiny_cohort.labels == 0)
    QualityMeter(make_network(), dark, SIZE).measure(generator, images=8)
    assert list(generator.seeds) == ["dark"]


def test_too_few_images_are_refused(make_network, meter, tiny_cohort):
    with pytest.raises(UserError, match="at least 4"):
        meter.measure(Generator(), images=3)
    with pytest.raises(UserError, match="at least 4 are needed"):
        QualityMeter(make_network(), tiny_cohort.select([0, 1, 2]), SIZE)


def quality(value):
    return Quality(
        generated=10, real=20, frechet=value, kernel=value / 10, kernel_deviation=0.01,
        diversity=value, real_diversity=2 * value, repeated=0.25,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("network", "kid", "fd"), [("averages", "kid_averages", "fd_averages"), ("inception", "kid", "fid")]
)
def test_values_are_named_after_the_network_unless_it_is_the_published_one(network, kid, fd):
    values = QualityReport(network, quality(3.0), {"NF1": quality(5.0)}).named_values()
    assert values == {
        kid: 0.3, f"{kid}_deviation": 0.01, fd: 3.0, f"diversity_{network}": 0.5,
        f"repeated_{network}": 0.25,
        f"{kid}/NF1": 0.5, f"{kid}_deviation/NF1": 0.01, f"{fd}/NF1": 5.0, f"diversity_{network}/NF1": 0.5,
        f"repeated_{network}/NF1": 0.25,
    }  # fmt: skip


def test_a_report_survives_json():
    report = QualityReport("averages", quality(3.0), {"NF1": quality(5.0)})
    assert QualityReport.from_json(json.loads(json.dumps(report.as_json()))) == report
    with pytest.raises(UserError, match="quality"):
        QualityReport.from_json({"network": "averages"})
