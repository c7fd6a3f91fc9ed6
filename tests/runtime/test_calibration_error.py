"""The calibration error: known values, ties, what chance contributes, and differences on the same images."""

import numpy as np
import pytest

from morphoscope.classify.certainty.scaling import Scaling, cross_fitted
from morphoscope.runtime.calibration_error import calibration_error, error_difference, reliability


def drawn(temperature: float, images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are calibrated once scaled by `temperature`, and true classes drawn from those."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (images, 4))
    calibrated = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (calibrated.cumsum(axis=1) > random.uniform(size=(images, 1))).argmax(axis=1)
    return heated(calibrated, 1 / temperature), truth


def heated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    return Scaling(temperature, np.zeros(4)).apply(probabilities)


def test_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    # 40 images, two bins of 20: confidence 0.6 with 15 of 20 right, confidence 0.9 with 16 of 20 right.
    probabilities = np.repeat([[0.6, 0.4], [0.9, 0.1]], 20, axis=0)
    truth = np.r_[np.zeros(15), np.ones(5), np.zeros(16), np.ones(4)].astype(np.int64)
    bins = reliability(probabilities, truth, np.arange(40))
    assert bins.images.tolist() == [20, 20]
    assert [accuracy.value for accuracy in bins.accuracy] == [15 / 20, 16 / 20]
    assert bins.confidence.tolist() == pytest.approx([0.6, 0.9])
    error = calibration_error(probabilities, truth, np.arange(40).astype(str))
    assert error.value == pytest.approx((0.15 + 0.1) / 2)
    assert error.low <= error.debiased < error.value <= error.high


def test_bins_adapt_to_the_number_of_images() -> None:
    probabilities, truth = drawn(1.0, 1000)
    assert len(reliability(probabilities, truth, np.arange(1000)).images) == 15
    assert len(reliability(probabilities[:95], truth[:95], np.arange(95)).images) == 4
    assert len(reliability(probabilities[:3], truth[:3], np.arange(3)).images) == 1


def test_images_with_the_same_confidence_are_in_one_bin_whatever_their_order() -> None:
    probabilities = np.tile(np.array([0.8, 0.2], np.float32), (500, 1))
    truth = np.repeat([0, 1], [400, 100])  # 80% correct, the correct ones first
    error = calibration_error(probabilities, truth, np.arange(500))
    assert error.value == pytest.approx(0, abs=1e-6) and error.low == 0
    assert reliability(probabilities, truth, np.arange(500)).images.tolist() == [500]


@pytest.mark.parametrize("correlated", [False, True])
def test_the_interval_of_a_calibrated_model_contains_0(correlated: bool) -> None:
    """30% did with the basic bootstrap of the plain error."""
    random, found = np.random.default_rng(0), []
    for _ in range(60):
        patient = np.repeat(np.arange(80), random.integers(1, 4, 80))
        confidence = random.uniform(0.4, 1, len(patient))
        own = random.random(len(patient))
        shared = (random.random(len(patient)) < 0.6) & correlated
        truth = np.where(shared, random.random(80)[patient], own) >= confidence
        error = calibration_error(np.stack([confidence, 1 - confidence], 1), truth.astype(int), patient)
        found.append(error.low == 0)
    assert np.mean(found) > 0.85  # 0.95 with the error of 60 draws


def test_the_debiased_error_is_near_the_true_one() -> None:
    """Confidences that are too high by 0.05: chance takes the plain error of 300 images to 0.09."""
    random = np.random.default_rng(1)
    errors = []
    for _ in range(40):
        confidence = random.uniform(0.55, 1, 300)
        truth = random.random(300) >= confidence - 0.05
        probabilities = np.stack([confidence, 1 - confidence], axis=1)
        errors.append(calibration_error(probabilities, truth.astype(int), np.arange(300)))
    value, debiased = (np.mean([getattr(error, name) for error in errors]) for name in ("value", "debiased"))
    assert value > 0.07 and debiased == pytest.approx(0.05, abs=0.015)


def test_chance_grows_with_the_correlation_within_patients() -> None:
    probabilities, truth = drawn(1.0, 150)
    fourfold, labels = np.repeat(probabilities, 4, axis=0), np.repeat(truth, 4)
    together = calibration_error(fourfold, labels, np.repeat(np.arange(150), 4))
    apart = calibration_error(fourfold, labels, np.arange(600))
    assert together.chance_limit > 1.3 * apart.chance_limit


def test_scaling_by_the_fitted_temperature_corrects_overconfidence() -> None:
    probabilities, truth = drawn(3.0, 2000)
    fold = np.arange(2000) % 5
    after = cross_fitted(probabilities, truth, fold, np.zeros(4))
    groups = np.arange(2000)
    assert calibration_error(after, truth, groups).high < calibration_error(probabilities, truth, groups).low


def test_the_difference_of_two_errors_on_the_same_images_is_paired() -> None:
    probabilities, truth = drawn(2.5, 600)
    groups = np.arange(600)
    better = heated(probabilities, 2.5)
    found = error_difference(probabilities, better, truth, groups)
    before, after = (calibration_error(one, truth, groups) for one in (probabilities, better))
    assert found.value == pytest.approx(after.value - before.value)
    assert found.low < found.value < found.high < 0
    assert error_difference(better, better, truth, groups) == (0, 0, 0)


def test_few_images_that_are_all_correct_do_not_prove_calibration() -> None:
    probabilities = np.tile(np.array([0.999, 0.001]), (40, 1))
    error = calibration_error(probabilities, np.zeros(40, int), np.arange(40) // 2)
    assert error.value == pytest.approx(0.001) and error.high > 0.08  # 40 of 40 may be 9 of 10
