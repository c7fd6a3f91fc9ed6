"""Estimates and their intervals: published values, known distributions and perfect scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from morphoscope.runtime.statistics import (
    Estimate,
    balanced_accuracy,
    confusion_counts,
    format_estimate,
    format_p,
    mean_proportion_interval,
    mean_with_interval,
    proportion,
    proportion_interval,
)


def test_wilson_interval_has_its_published_value() -> None:
    # Newcombe 1998, table I, method 3 (score, without continuity correction).
    assert proportion(81, 263) == pytest.approx((81 / 263, 0.2553, 0.3662), abs=5e-5)
    assert proportion(15, 148) == pytest.approx((15 / 148, 0.0624, 0.1605), abs=5e-5)
    assert proportion(0, 20) == pytest.approx((0, 0, 0.1611), abs=5e-5)
    assert proportion(1, 29) == pytest.approx((1 / 29, 0.0061, 0.1718), abs=5e-5)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_contains_the_proportion_and_stays_in_range(case: tuple[int, int]) -> None:
    found = proportion(*case)
    assert -1e-9 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1 + 1e-9


def test_confusion_counts_rows_are_truth() -> None:
    counts = confusion_counts(np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 2, 2]), 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


def test_a_perfect_score_of_few_images_is_not_certain() -> None:
    truth = np.repeat([0, 1], 8)
    estimate = balanced_accuracy(truth, truth, np.arange(16).astype(str))
    assert estimate.value == estimate.high == 1
    assert 0.75 < estimate.low < 0.97


def test_balanced_accuracy_is_the_mean_recall_of_classes_that_occur() -> None:
    truth = np.array([0] * 10 + [2] * 2)
    predicted = np.array([0] * 5 + [1] * 5 + [2, 2])
    estimate = balanced_accuracy(truth, predicted, np.arange(12).astype(str))
    assert estimate.value == pytest.approx(0.75)
    # 2 of 2 prove little. Variances 0.5 * 0.5 / 10 and 2.5 / 3 * 0.5 / 3 / 2; t quantile for their sum.
    variances = np.array([0.025, 0.0694])
    freedom = variances.sum() ** 2 / (variances**2 / [10, 2]).sum()
    centre = (0.5 + 2.5 / 3) / 2
    images, square = centre * (1 - centre) / (variances.sum() / 4), student.ppf(0.975, freedom) ** 2
    # Wilson's ends are the proportions from which 0.75 is that many standard errors away.
    for end in estimate[1:]:
        assert (0.75 - end) ** 2 == pytest.approx(square * end * (1 - end) / images, rel=1e-3)


def test_the_interval_of_one_class_is_near_that_of_its_proportion() -> None:
    hits, images = np.random.default_rng(0).binomial(4, 0.8, 100), np.full(100, 4)
    found, alone = mean_proportion_interval([hits], [images]), proportion_interval(hits, images)
    assert np.array(found) == pytest.approx(np.array(alone), abs=0.005)


def test_balanced_accuracy_counts_patients() -> None:
    truth = np.zeros(40, np.int64)
    predicted = np.repeat([0, 1] * 5, 4)  # ten patients with four images each, all correct or all wrong
    patients = np.repeat(np.arange(10), 4).astype(str)
    grouped = balanced_accuracy(truth, predicted, patients)
    alone = balanced_accuracy(truth, predicted, np.arange(40).astype(str))
    assert grouped.value == alone.value == 0.5
    assert grouped.high - grouped.low > 1.6 * (alone.high - alone.low)  # about the square root of 4


def test_a_p_value_is_never_shown_as_0() -> None:
    assert [format_p(p) for p in (0.0, 0.00049, 0.001, 0.25)] == ["< 0.001", "< 0.001", "0.001", "0.250"]
    assert [format_p(p, named=True) for p in (0.0, 0.25)] == ["p < 0.001", "p = 0.250"]


def test_format_estimate_prints_the_value_with_its_interval() -> None:
    estimate = Estimate(0.4116, 0.3512, 0.47)
    assert format_estimate(estimate) == "0.412 (0.351 to 0.470)"
    assert format_estimate(estimate, digits=2) == "0.41 (0.35 to 0.47)"
    assert format_estimate(estimate, named=True) == "0.412 (95% interval 0.351 to 0.470)"
    assert format_estimate(None) == "–"


def test_mean_has_a_reproducible_bootstrap_interval() -> None:
    values = np.random.default_rng(0).normal(3, 1, 100)
    found = mean_with_interval(values)
    assert found is not None and found == mean_with_interval(values)
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / 10  # the normal approximation
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.03)
    assert mean_with_interval(values[:1]) is None
