"""The cohort from which the bundled ensemble learns: each phantom with all and with less detail."""

from pathlib import Path

import cv2
import numpy as np

from morphoscope.apps.phantom_cohort import degraded, phantom_cohort, with_degraded_copies
from morphoscope.cohort import phantom_image


def sharpness(image: np.ndarray) -> float:
    return float(cv2.Laplacian(image.mean(axis=2).astype(np.float32), cv2.CV_32F).std())


def test_a_degraded_image_shows_the_same_with_less_detail() -> None:
    image = phantom_image("ML", 0, size=128).image
    copies = [degraded(np.random.default_rng(seed), image) for seed in range(8)]
    assert all(copy.shape == image.shape and copy.dtype == np.uint8 for copy in copies)
    assert max(sharpness(copy) for copy in copies) < sharpness(image)
    assert max(np.abs(copy.astype(float) - image).mean() for copy in copies) < 15
    assert np.array_equal(copies[0], degraded(np.random.default_rng(0), image))


def test_copies_stay_with_their_patient(tmp_path: Path) -> None:
    sharp = phantom_cohort(tmp_path / "sharp", per_condition=4, seed=0, folds=2, test_fraction=0)
    cohort = with_degraded_copies(sharp, tmp_path / "both", seed=0)
    assert len(cohort) == 2 * len(sharp) and cohort.phantom and cohort.check().ok
    assert (cohort.rows.groupby("group")["fold"].nunique() == 1).all()
    half = len(sharp)
    assert np.array_equal(cohort.image(0), sharp.image(0))
    assert sharpness(cohort.image(half)) < sharpness(cohort.image(0))
    assert with_degraded_copies(sharp, tmp_path / "both", seed=0).digest == cohort.digest
