"""Random transforms: repeatable, of the given strength, and the published ones as published."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import albumentations as A
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
    assert len({image.tobytes() for image in first}) == 8
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in first)


def test_flips_are_independent() -> None:
    """All eight orientations are equally frequent."""
    quarters = np.repeat(np.repeat(np.array([[240, 160], [80, 10]], np.uint8), 16, axis=0), 16, axis=1)
    image, transforms = np.stack([quarters] * 3, axis=2), TrainingTransforms(1e-6)  # hardly more than flips
    found: Counter[tuple[int, ...]] = Counter()
    for index in range(800):
        parts = transforms(image, index)[..., 0].reshape(2, 16, 2, 16)
        found[tuple(np.median(parts, axis=(1, 3)).ravel().argsort().tolist())] += 1
    assert len(found) == 8
    assert min(found.values()) > 60


def test_flips_keep_every_pixel(image: np.ndarray) -> None:
    flips = TrainingTransforms(1.0, "flips")
    found = {flips(image, seed).tobytes() for seed in range(60)}
    assert len(found) == 8
    assert all(sorted(one) == sorted(image.tobytes()) for one in found)


def test_strength_zero_changes_nothing(image: np.ndarray) -> None:
    np.testing.assert_array_equal(TrainingTransforms(0.0)(image, 0), image)


def test_strength_scales_the_change_of_colour() -> None:
    grey = np.full((48, 48, 3), 120, np.uint8)

    def change(strength: float) -> float:
        transforms = TrainingTransforms(strength)
        return float(np.mean([abs(np.median(transforms(grey, i).astype(float)) - 120) for i in range(60)]))

    assert 0 < change(0.2) < change(1.0) < 60


def test_the_published_cut_out_is_three_eighths_of_the_side_or_what_the_border_leaves() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    transforms = TrainingTransforms(1.0, "paper")
    # moves leave narrow black borders too
    black = [(transforms(grey, i) == 0).all(axis=2) for i in range(400)]

    def share(side: int) -> float:
        return float(np.mean([sliding_window_view(m, (side, side)).all(axis=(2, 3)).any() for m in black]))

    whole = (52.5 + 0.5) / 65  # of the 65 places along a side, those from which no border cuts off
    assert share(24) == pytest.approx(0.7 * whole**2, abs=0.08)
    assert share(12) == pytest.approx(0.7, abs=0.08)
    assert share(36) == 0


PUBLISHED = """
    Transpose .5 | VerticalFlip .5 | HorizontalFlip .5
    RandomBrightnessContrast .75 | RandomBrightnessContrast .75
    OneOf .7 [ MotionBlur 1 | MedianBlur 1 | GaussianBlur 1 | GaussNoise 1 ]
    OneOf .7 [ OpticalDistortion 1 | GridDistortion 1 | _LooseAffine 1 ]
    CLAHE .7 | HueSaturationValue .5 | Affine .85 | _CutOut .7
"""


def test_the_published_transforms_come_in_their_order_with_their_probabilities() -> None:
    def described(parts: Sequence[A.BasicTransform | A.BaseCompose]) -> Iterator[str]:
        for part in parts:
            yield f"{type(part).__name__} {part.p:g}".replace(" 0.", " .")
            if isinstance(part, A.OneOf):
                yield from ("[", *described(part.transforms), "]")

    found = " ".join(described(TrainingTransforms(1.0, "paper")._pipeline.transforms))
    assert found.split() == PUBLISHED.replace("|", "").split()


def only(name: str) -> TrainingTransforms:
    """The published pipeline with a single one of its transforms, always applied."""
    transforms = TrainingTransforms(1.0, "paper")
    parts = transforms._pipeline.transforms
    inner = [part for whole in parts if isinstance(whole, A.OneOf) for part in whole.transforms]
    (chosen,) = [part for part in (*parts, *inner) if type(part).__name__ == name]
    chosen.p = 1.0
    transforms._pipeline = A.Compose([chosen])
    return transforms


def test_the_published_elastic_transform_moves_three_points_by_a_tenth_of_the_side_at_most() -> None:
    rows, columns = np.mgrid[0:128, 0:128].astype(np.uint8)
    image, elastic = (
        np.stack([rows, columns, rows], axis=2),
        only("_LooseAffine"),
    )  # says where pixels came from
    found = np.array([elastic(image, i)[[22, 106], 106, :2].astype(int) for i in range(60)])
    moves = found - [[22, 106], [106, 106]]
    reach = 128 * 50 / 512
    assert reach / 4 < np.abs(moves).mean() < reach
    # an affine map of moved points: where one came from lies a little farther than it was moved
    assert reach / 2 < np.abs(moves).max() < 2 * reach
    assert np.abs(np.diff(moves[:, :, 0], axis=1)).max() > reach / 2  # stretched, not only shifted


def test_input_images_are_not_changed(image: np.ndarray) -> None:
    before = image.copy()
    transforms = TrainingTransforms(2.0)
    for index in range(20):
        transforms(image, index)
    np.testing.assert_array_equal(image, before)
