"""How often intervals of proportions contain the truth, simulated with correlated images of patients."""

from itertools import product

import numpy as np
import pytest

from morphoscope.runtime.statistics import proportion_interval

CORRELATIONS = (0.0, 0.1, 0.3, 0.6)
PROPORTIONS = (0.5, 0.7, 0.9, 0.95, 0.97)
SIZES = ("1", "3", "5", "1 to 5", "heavy tail")


def draw(
    sizes: str, shape: tuple[int, int], correlation: float, value: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Successes and images of patients, both [replicates, patients]; beta-binomial.

    With a heavy tail (Pareto, index 1.1) a patient has 1 to 50 images, half of them 1.
    """
    if sizes == "heavy tail":
        images = np.minimum(np.floor(random.pareto(1.1, shape) + 1), 50).astype(int)
    elif sizes == "1 to 5":
        images = random.integers(1, 6, shape)
    else:
        images = np.full(shape, int(sizes))
    own = np.full(shape, value)
    if correlation > 0:
        strength = (1 - correlation) / correlation
        own = random.beta(value * strength, (1 - value) * strength, shape)
    return random.binomial(images, own), images


def coverage(
    sizes: str, patients: int, correlation: float, value: float, replicates: int, random: np.random.Generator
) -> float:
    low, high = proportion_interval(*draw(sizes, (replicates, patients), correlation, value, random))
    return float(((low <= value + 1e-12) & (value - 1e-12 <= high)).mean())


@pytest.mark.parametrize(
    ("sizes", "patients"), [("3", 20), ("5", 20), ("5", 60), ("heavy tail", 20), ("heavy tail", 60)]
)
def test_intervals_by_patient_contain_the_truth(sizes: str, patients: int) -> None:
    random = np.random.default_rng(0)
    found = {
        (correlation, value): coverage(sizes, patients, correlation, value, 1500, random)
        for correlation, value in product((0.0, 0.6), PROPORTIONS)
    }
    assert min(found.values()) > 0.915, found  # 0.93 with the error of 1500 draws; the slow test is exact


@pytest.mark.slow
def test_intervals_by_patient_contain_the_truth_in_every_cell() -> None:
    random = np.random.default_rng(1)
    found = {
        cell: coverage(*cell, replicates=10_000, random=random)
        for cell in product(SIZES, (20, 60, 200), CORRELATIONS, PROPORTIONS)
    }
    assert min(found.values()) >= 0.93, sorted(found.items(), key=lambda item: item[1])[:5]
