"""Calibration by condition recovers what is known, and follows from single models to the ensemble."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.classify.certainty.prior import Prior, reweighted, shift
from morphoscope.classify.certainty.scaling import (
    Scaling,
    cross_fitted,
    fit_scaling,
    negative_log_likelihood,
    pooled,
)
from morphoscope.runtime.calibration_error import calibration_error

NONE = np.zeros(4)


def heated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    return Scaling(temperature, np.zeros(probabilities.shape[-1])).apply(probabilities)


def drawn(temperature: float, images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are calibrated once scaled by `temperature`, and true classes drawn from those."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (images, 4))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (right.cumsum(axis=1) > random.uniform(size=(images, 1))).argmax(axis=1)
    return heated(right, 1 / temperature), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    found = fit_scaling(*drawn(temperature, 20_000), NONE)
    assert found.temperature == pytest.approx(temperature, rel=0.04)
    assert np.abs(found.bias).max() < 0.08


def test_predictions_that_are_all_correct_leave_some_uncertainty() -> None:
    """100 correct of 100 allow a confidence of at most 101 / 102."""
    probabilities = np.random.default_rng(0).dirichlet([0.1, 0.1, 0.1], 100)
    found = fit_scaling(probabilities, probabilities.argmax(axis=1), np.zeros(3))
    assert found.apply(probabilities).max(axis=1).mean() == pytest.approx(101 / 102, abs=1e-3)
    wrong = probabilities.argmax(axis=1)
    wrong[0] = probabilities[0].argmin()
    careful = fit_scaling(probabilities, wrong, np.zeros(3))
    assert careful.temperature > found.temperature
    assert careful.apply(probabilities).max(axis=1).mean() <= 100 / 102 + 1e-3


def test_the_difference_between_prior_and_images_is_not_taken_for_a_bias() -> None:
    """Balanced probabilities, images of which 9 in 10 are of one condition: Bayes' rule explains that."""
    random = np.random.default_rng(1)
    frequencies = Prior.of(np.array([90, 4, 3, 3]), "images")
    truth = random.choice(4, 4000, p=frequencies.frequencies)
    evidence = 1.5 * (1.5 * np.eye(4)[truth] + random.normal(size=(4000, 4)))
    balanced = pooled(np.exp(evidence)[None])
    ratio = shift(Prior.uniform(4), frequencies)
    right, wrong = fit_scaling(balanced, truth, ratio), fit_scaling(balanced, truth, NONE)
    assert right.temperature == pytest.approx(1, abs=0.08) and np.abs(right.bias).max() < 0.15
    assert np.abs(wrong.bias).max() > 0.5
    here = reweighted(right.apply(balanced), Prior.uniform(4), frequencies)
    np.testing.assert_allclose(here.mean(axis=0), frequencies.frequencies, atol=0.01)  # by condition
    assert negative_log_likelihood(here, truth) < negative_log_likelihood(wrong.apply(balanced), truth)


def test_biases_correct_a_condition_that_is_called_too_often_and_few_images_hardly_move_them() -> None:
    probabilities, truth = drawn(1.0, 5000)
    biased = Scaling(1.0, np.array([0.6, 0, 0, 0])).apply(probabilities)
    many, few = fit_scaling(biased, truth, NONE), fit_scaling(biased[:60], truth[:60], NONE)
    gap = lambda scaling: abs(scaling.apply(biased)[:, 0].mean() - (truth == 0).mean())  # noqa: E731
    assert gap(many) < 0.2 * abs(biased[:, 0].mean() - (truth == 0).mean())
    assert np.abs(few.bias).max() < 0.15


@given(st.floats(0.1, 10), st.integers(0, 99))
def test_scaling_keeps_the_order_and_is_undone_by_its_inverse(temperature: float, seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(5), 7)
    hot = heated(probabilities, temperature)
    np.testing.assert_allclose(hot.sum(axis=1), 1, atol=1e-6)
    assert (hot.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(heated(heated(probabilities, 2.0), 0.5), probabilities, atol=1e-5)


def test_scaling_divides_logits() -> None:
    np.testing.assert_allclose(heated(np.array([0.8, 0.2]), 2.0), [2 / 3, 1 / 3], atol=1e-6)  # odds 4 -> 2
    assert heated(np.array([1.0, 0.0]), 3.0).tolist() == pytest.approx([1, 0], abs=1e-6)


def test_likelihood_is_that_of_the_true_class() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert negative_log_likelihood(probabilities, np.array([0, 0])) == pytest.approx(np.log(8) / 2)


def test_the_fitted_scaling_corrects_overconfidence() -> None:
    probabilities, truth = drawn(3.0, 2000)
    fold, groups = np.arange(2000) % 5, np.arange(2000)
    after = cross_fitted(probabilities, truth, fold, NONE)
    assert (
        calibration_error(after, truth, groups).value
        < 0.3 * calibration_error(probabilities, truth, groups).value
    )


def test_cross_fitting_does_not_use_the_own_fold() -> None:
    probabilities, truth = drawn(2.0, 300)
    fold = np.arange(300) % 3
    changed = np.where(fold == 1, (truth + 1) % 4, truth)  # labels of fold 1 made wrong
    before, after = (cross_fitted(probabilities, labels, fold, NONE) for labels in (truth, changed))
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert not np.allclose(before[fold == 0], after[fold == 0])
