"""Temperature scaling recovers a known temperature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.classify.certainty.temperature import (
    cross_fitted,
    fit_temperature,
    negative_log_likelihood,
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


def test_cross_fitting_does_not_use_the_own_fold() -> None:
    probabilities, truth = drawn(2.0, 300)
    fold = np.arange(300) % 3
    changed = np.where(fold == 1, (truth + 1) % 4, truth)  # labels of fold 1 made wrong
    before, after = cross_fitted(probabilities, truth, fold), cross_fitted(probabilities, changed, fold)
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert not np.allclose(before[fold == 0], after[fold == 0])
