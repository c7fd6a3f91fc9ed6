"""Leaving out blocks: the variance of means, patients kept together, and intervals at the ends of a range."""

import numpy as np
import pytest
from scipy.stats import norm

from morphoscope.runtime.jackknife import jackknife, of_positive, of_proportion, of_squared_distance
from morphoscope.runtime.statistics import proportion


def test_the_variance_of_a_mean_is_that_of_the_textbook():
    random = np.random.default_rng(0)
    values = random.normal(size=20)
    one = np.zeros(20, int)
    found = jackknife(lambda kept: np.array([values[kept].mean()]), np.arange(20), one, one)
    assert found.values[0] == pytest.approx(values.mean())
    assert found.variances[0] == pytest.approx(values.var(ddof=1) / 20)


def test_images_of_a_patient_are_left_out_together():
    random = np.random.default_rng(1)
    by_patient = random.normal(size=20)
    values, owners = np.repeat(by_patient, 5), np.repeat(np.arange(20), 5)
    one = np.zeros(100, int)
    found = jackknife(lambda kept: np.array([values[kept].mean()]), owners, one, one)
    assert found.variances[0] == pytest.approx(by_patient.var(ddof=1) / 20)


def test_variances_of_two_samples_add_up_and_blocks_keep_the_proportions():
    random = np.random.default_rng(2)
    values = random.normal(size=60)
    samples = np.repeat([0, 1], [40, 20])
    strata = np.tile(["a", "b"], 30)
    shares = []

    def difference(kept):
        shares.append((strata[kept & (samples == 0)] == "a").mean())
        return np.array([values[kept & (samples == 0)].mean() - values[kept & (samples == 1)].mean()])

    found = jackknife(difference, np.arange(60), samples, strata)
    expected = values[:40].var(ddof=1) / 40 + values[40:].var(ddof=1) / 20
    assert found.variances[0] == pytest.approx(expected, rel=0.5)  # from 20 blocks of two
    assert shares == pytest.approx([0.5] * len(shares))


def test_a_proportion_of_independent_cases_has_wilsons_interval():
    cases = 50
    value = 20 / cases
    assert of_proportion(value, 0, cases, norm.ppf(0.975)) == pytest.approx(proportion(20, cases), abs=1e-6)


def test_a_proportion_that_varies_more_has_a_wider_interval_within_its_range():
    low, high = of_proportion(0.002, 0.03**2, 200, 2)[1:]
    assert low == 0 and high == pytest.approx(0.062)


def test_ends_of_a_range_keep_a_width():
    assert of_proportion(1.0, 0.0, 20, 2).low == pytest.approx(proportion(20, 20).low, abs=0.01)
    assert of_proportion(0.0, 0.0, 20, 2).high < 0.2
    assert of_positive(0.0, 0.0, 2) == (0, 0, 0)
    low, high = of_positive(2.0, 0.01, 2)[1:]
    assert low * high == pytest.approx(4) and low < 2 < high
    assert of_positive(0.001, 0.001**2, 5).high == pytest.approx(0.011)  # exp(5) would be 148 times as much


def test_a_squared_distance_may_be_negative_and_its_interval_is_longer_above():
    near = of_squared_distance(-0.1, 0.04, 2)
    assert near.low < -0.1 < 0 < near.high
    far = of_squared_distance(4.0, 1.0, 2)
    assert far.high == pytest.approx((2 + 2 * 1 / (2 * 2)) ** 2)  # the root ± 2 of its standard errors
