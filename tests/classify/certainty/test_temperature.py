"""Temperature scaling recovers a known temperature; the calibration error has its known values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.classify.certainty.temperature import (
    calibration_error,
    cross_fitted,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    scaled,
)


def drawn(temperature: float, images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are calibrated once scaled by `temperature`, and true classes drawn from those."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (images, 4))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (right.cumsum(axis=1) > random.uniform(size=(images, 1))).argmax(axis=1)
    return scaled(right, 1 / temperature), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    probabilities, truth = drawn(temperature, 20_000)
    assert fit_temperature(probabilities, truth) == pytest.approx(temperature, rel=0.04)


def test_predictions_that_are_all_correct_leave_some_uncertainty() -> None:
    """100 correct of 100 allow a confidence of at most 101 / 102."""
    probabilities = np.random.default_rng(0).dirichlet([0.1, 0.1, 0.1], 100)
    temperature = fit_temperature(probabilities, probabilities.argmax(axis=1))
    assert scaled(probabilities, temperature).max(axis=1).mean() == pytest.approx(101 / 102, abs=1e-3)
    wrong = probabilities.argmax(axis=1)
    wrong[0] = probabilities[0].argmin()
    careful = fit_temperature(probabilities, wrong)
    assert careful > temperature
    assert scaled(probabilities, careful).max(axis=1).mean() <= 100 / 102 + 1e-3


@given(st.floats(0.1, 10), st.integers(0, 99))
def test_scaling_keeps_the_order_and_is_undone_by_its_inverse(temperature: float, seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(5), 7)
    hot = scaled(probabilities, temperature)
    np.testing.assert_allclose(hot.sum(axis=1), 1, atol=1e-6)
    assert (hot.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(scaled(scaled(probabilities, 2.0), 0.5), probabilities, atol=1e-5)


def test_scaling_divides_logits() -> None:
    np.testing.assert_allclose(
        scaled(np.array([0.8, 0.2]), 2.0), [2 / 3, 1 / 3], atol=1e-6
    )  # odds 4 -> sqrt(4) = 2
    assert scaled(np.array([1.0, 0.0]), 3.0).tolist() == pytest.approx([1, 0], abs=1e-6)


def test_likelihood_is_that_of_the_true_class() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert negative_log_likelihood(probabilities, np.array([0, 0])) == pytest.approx(np.log(8) / 2)


def test_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    # 40 images, two bins of 20: confidence 0.6 with 15 of 20 right, confidence 0.9 with 16 of 20 right.
    probabilities = np.repeat([[0.6, 0.4], [0.9, 0.1]], 20, axis=0)
    truth = np.r_[np.zeros(15), np.ones(5), np.zeros(16), np.ones(4)].astype(np.int64)
    bins = reliability(probabilities, truth)
    assert bins.images.tolist() == [20, 20] and bins.correct.tolist() == [15, 16]
    assert bins.confidence.tolist() == pytest.approx([0.6, 0.9])
    error = calibration_error(probabilities, truth, np.arange(40).astype(str))
    assert error.value == pytest.approx((0.15 + 0.1) / 2)
    assert error.low < error.value <= error.high


def test_bins_adapt_to_the_number_of_images() -> None:
    probabilities, truth = drawn(1.0, 1000)
    assert len(reliability(probabilities, truth).images) == 15
    assert len(reliability(probabilities[:95], truth[:95]).images) == 4
    assert len(reliability(probabilities[:3], truth[:3]).images) == 1


def test_interval_removes_the_bias_and_widens_with_grouped_patients() -> None:
    probabilities, truth = drawn(1.0, 600)  # perfectly calibrated, so that all of the error is chance
    alone = calibration_error(probabilities, truth, np.arange(600).astype(str))
    assert alone.low < 0.01 and alone.value > 0.01
    repeated = calibration_error(
        np.repeat(probabilities[:150], 4, axis=0), np.repeat(truth[:150], 4), np.repeat(np.arange(150), 4)
    )
    single = calibration_error(
        np.repeat(probabilities[:150], 4, axis=0), np.repeat(truth[:150], 4), np.arange(600)
    )
    assert repeated.high - repeated.low > 1.3 * (single.high - single.low)


def test_scaling_by_the_fitted_temperature_corrects_overconfidence() -> None:
    probabilities, truth = drawn(3.0, 2000)
    fold = np.arange(2000) % 5
    after = cross_fitted(probabilities, truth, fold)
    groups = np.arange(2000)
    assert calibration_error(after, truth, groups).high < calibration_error(probabilities, truth, groups).low


def test_cross_fitting_does_not_use_the_own_fold() -> None:
    probabilities, truth = drawn(2.0, 300)
    fold = np.arange(300) % 3
    changed = np.where(fold == 1, (truth + 1) % 4, truth)  # labels of fold 1 made wrong
    before, after = cross_fitted(probabilities, truth, fold), cross_fitted(probabilities, changed, fold)
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert not np.allclose(before[fold == 0], after[fold == 0])
