"""The comparison of classifier options: intervals that include the sampling of patients and of seeds."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

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
    assert (found.low, found.high) == (0, 0.5)  # neither, or both seeds are the first one


def test_the_interval_widens_with_images_of_one_patient(options: dict) -> None:
    differences = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (1, 60))
    fourfold = np.repeat(differences, 4, axis=1)
    truth = np.zeros(240, int)
    by_patient = options["paired_difference"](fourfold, truth, np.repeat(np.arange(60), 4))
    by_image = options["paired_difference"](fourfold, truth, np.arange(240))
    assert by_patient.high - by_patient.low > 1.6 * (by_image.high - by_image.low)
