"""Random transforms: repeatable, of the strength asked for, and the published ones as published."""

from collections import Counter
from typing import Literal

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from morphoscope.classify.training.transforms import TrainingTransforms


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["usual", "paper"])
def test_an_images_transforms_follow_from_its_seed(
    image: np.ndarray, kind: Literal["usual", "paper"]
) -> None:
    transforms = TrainingTransforms(1.0, kind)
    first = [transforms(image, (5, index)) for index in range(8)]
    fresh = TrainingTransforms(1.0, kind)  # has drawn nothing, and meets them in another order
    for index in reversed(range(8)):
        np.testing.assert_array_equal(first[index], fresh(image, (5, index)))
    assert len({picture.tobytes() for picture in first}) == 8
    assert all(picture.shape == image.shape and picture.dtype == np.uint8 for picture in first)


def test_flips_are_independent() -> None:
    """Each of the eight orientations comes as often as the others."""
    quarters = np.repeat(np.repeat(np.array([[240, 160], [80, 10]], np.uint8), 16, axis=0), 16, axis=1)
    image, transforms = np.stack([quarters] * 3, axis=2), TrainingTransforms(1e-6)  # hardly more than flips
    found: Counter[tuple[int, ...]] = Counter()
    for index in range(800):
        parts = transforms(image, index)[..., 0].reshape(2, 16, 2, 16)
        found[tuple(np.median(parts, axis=(1, 3)).ravel().argsort().tolist())] += 1
    assert len(found) == 8
    assert min(found.values()) > 60


def test_strength_zero_changes_nothing(image: np.ndarray) -> None:
    np.testing.assert_array_equal(TrainingTransforms(0.0)(image, 0), image)


def test_strength_scales_the_change_of_colour() -> None:
    grey = np.full((48, 48, 3), 120, np.uint8)

    def change(strength: float) -> float:
        transforms = TrainingTransforms(strength)
        return float(np.mean([abs(np.median(transforms(grey, i).astype(float)) - 120) for i in range(60)]))

    assert 0 < change(0.2) < change(1.0) < 60


def test_the_published_transforms_black_out_a_square_of_three_eighths_of_the_side() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    transforms = TrainingTransforms(1.0, "paper")
    black = [
        (transforms(grey, i) == 0).all(axis=2) for i in range(300)
    ]  # moves leave narrow black borders too
    holes = [sliding_window_view(mask, (24, 24)).all(axis=(2, 3)).any() for mask in black]
    larger = [sliding_window_view(mask, (36, 36)).all(axis=(2, 3)).any() for mask in black]
    assert np.mean(holes) == pytest.approx(0.7, abs=0.08)
    assert not any(larger)


def test_images_in_are_left_as_they_are(image: np.ndarray) -> None:
    before = image.copy()
    transforms = TrainingTransforms(2.0)
    for index in range(20):
        transforms(image, index)
    np.testing.assert_array_equal(image, before)
