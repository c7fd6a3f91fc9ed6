"""Random transforms: repeatable, of the strength asked for, and the published ones as published."""

from typing import Literal

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from morphoscope.classify.training.transforms import TrainingTransforms


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["usual", "paper"])
def test_the_same_seed_repeats_the_same_images(image: np.ndarray, kind: Literal["usual", "paper"]) -> None:
    transforms = TrainingTransforms(1.0, kind)
    transforms.seed(5)
    first = [transforms(image) for _ in range(8)]
    transforms.seed(5)
    again = [transforms(image) for _ in range(8)]
    fresh = TrainingTransforms(1.0, kind)
    fresh.seed(5)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, fresh(image))
    assert len({picture.tobytes() for picture in first}) == 8
    assert all(picture.shape == image.shape and picture.dtype == np.uint8 for picture in first)


def test_strength_zero_changes_nothing(image: np.ndarray) -> None:
    np.testing.assert_array_equal(TrainingTransforms(0.0)(image), image)


def test_strength_scales_the_change_of_colour() -> None:
    grey = np.full((48, 48, 3), 120, np.uint8)

    def change(strength: float) -> float:
        transforms = TrainingTransforms(strength)
        transforms.seed(1)
        return float(np.mean([abs(np.median(transforms(grey).astype(float)) - 120) for _ in range(60)]))

    assert 0 < change(0.2) < change(1.0) < 60


def test_the_published_transforms_black_out_a_square_of_three_eighths_of_the_side() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    transforms = TrainingTransforms(1.0, "paper")
    transforms.seed(2)
    black = [(transforms(grey) == 0).all(axis=2) for _ in range(300)]  # moves leave narrow black borders too
    holes = [sliding_window_view(mask, (24, 24)).all(axis=(2, 3)).any() for mask in black]
    larger = [sliding_window_view(mask, (36, 36)).all(axis=(2, 3)).any() for mask in black]
    assert np.mean(holes) == pytest.approx(0.7, abs=0.08)
    assert not any(larger)


def test_images_in_are_left_as_they_are(image: np.ndarray) -> None:
    before = image.copy()
    transforms = TrainingTransforms(2.0)
    for _ in range(20):
        transforms(image)
    np.testing.assert_array_equal(image, before)
