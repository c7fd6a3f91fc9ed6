"""The comparison of classifier options: intervals that include the sampling of patients and of seeds."""

import runpy
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def options() -> dict:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return runpy.run_path(str(BENCHMARKS / "classifier_options.py"), run_name="options")
    finally:
        sys.path.remove(str(BENCHMARKS))
        sys.modules.pop("arms", None)  # the benchmarks' common modules have common names


def test_a_difference_is_averaged_over_classes_and_seeds(options: dict) -> None:
    truth = np.array([0] * 8 + [1] * 2)
    differences = np.array([[1.0] * 8 + [0.0] * 2, [0.0] * 10])
    found = options["paired_difference"](differences, truth, np.arange(10))
    assert found.value == pytest.approx((0.5 + 0) / 2)
    # Only the seeds vary: 0.5 and 0, so that the standard error is 0.25, with one degree of freedom.
    assert found.high - found.value == pytest.approx(0.25 * student.ppf(0.975, 1))
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_what_changes_between_seeds_in_each_patient_counts_once(options: dict) -> None:
    """Without an effect of the seed itself, the interval is that of the patients, mostly."""
    random = np.random.default_rng(1)
    differences, truth = random.normal(size=(20, 60)), np.zeros(60, int)
    found = options["paired_difference"](differences, truth, np.arange(60))
    mean = differences.mean(axis=0)
    patients = student.ppf(0.975, 59) * mean.std(ddof=1) / 60**0.5
    assert patients <= found.high - found.value < 1.4 * patients


def coverage(options: dict, seeds: int, patients: int, spread: float, replicates: int) -> float:
    """How often the interval contains a difference of 0; seeds, patients and answers vary."""
    random, covered = np.random.default_rng(0), 0
    for _ in range(replicates):
        groups = np.repeat(np.arange(patients), random.integers(1, 4, patients))
        latent = (
            spread * random.normal(size=(seeds, 1))
            + 0.35 * random.normal(size=patients)[groups]
            + 0.5 * random.normal(size=(seeds, len(groups)))
        )
        differences = (latent > 0.5).astype(float) - (latent < -0.5)
        found = options["paired_difference"](differences, groups % 3, groups)
        covered += found.low <= 0 <= found.high
    return covered / replicates


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_contains_the_truth_with_few_seeds(options: dict, seeds: int) -> None:
    """The bootstrap of patients and seeds did in 92% (two seeds, 120 patients, spread 0.05)."""
    found = {cell: coverage(options, seeds, *cell, replicates=300) for cell in product((30, 120), (0.0, 0.1))}
    assert min(found.values()) > 0.9, found  # 0.95 with the error of 300 draws


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_interval_contains_the_truth_in_every_cell(options: dict) -> None:
    cells = product((2, 3, 5), (30, 120), (0.0, 0.02, 0.05, 0.2))
    found = {cell: coverage(options, *cell, replicates=3000) for cell in cells}
    print(*(f"{cell}: {value:.3f}" for cell, value in found.items()), sep="\n")
    # Two seeds that differ by much more than trainings do (spread 0.2) leave one degree of freedom.
    assert all(value >= (0.93 if cell[0] > 2 or cell[2] < 0.2 else 0.9) for cell, value in found.items()), (
        found
    )


def test_the_interval_widens_with_images_of_one_patient(options: dict) -> None:
    differences = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (1, 60))
    fourfold = np.repeat(differences, 4, axis=1)
    truth = np.zeros(240, int)
    by_patient = options["paired_difference"](fourfold, truth, np.repeat(np.arange(60), 4))
    by_image = options["paired_difference"](fourfold, truth, np.arange(240))
    assert by_patient.high - by_patient.low > 1.6 * (by_image.high - by_image.low)
