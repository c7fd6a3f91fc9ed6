"""Random transforms of training images. The only file that touches albumentations (2.0.8, unmaintained)."""

import os
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise importing it calls a server
import albumentations as A
import cv2

from morphoscope.configs.classifier import Transforms


class TrainingTransforms:
    """Random flips, affine maps, changes of brightness and colour, blur or noise, and cut-out.

    The paper's transforms also distort.
    """

    def __init__(self, strength: float, kind: Transforms = "usual") -> None:
        """Choose the transforms.

        Args:
            strength: factor of every range of the usual transforms, at least 0; 0 leaves images unchanged.
            kind: the usual transforms, those of the published classifier, or flips alone.
        """
        if kind == "usual":
            chosen = _usual(strength) if strength > 0 else []
        else:
            chosen = _published() if kind == "paper" else _flips()
        self._pipeline = A.Compose(chosen)

    def __call__(self, image: np.ndarray, seed: int | Sequence[int]) -> np.ndarray:
        """Transform one image.

        Args:
            image: uint8 [S, S, 3], or a pair [S, 2S, 3]; each photograph of a pair is transformed separately,
                and a missing, black one is not changed.
            seed: determines all random choices, as for `numpy.random.default_rng`.

        Returns:
            A new array of the same shape.
        """
        # One random stream for all: `set_random_seed` would give each the same, and all flips would agree.
        generator = np.random.default_rng(seed)
        self._pipeline.set_random_state(generator, random.Random(generator.bit_generator.random_raw()))
        halves = [
            np.ascontiguousarray(half) for half in np.split(image, image.shape[1] // len(image), axis=1)
        ]
        done = [self._pipeline(image=half)["image"] if half.any() else half for half in halves]
        return np.concatenate(done, axis=1)


_Transforms = list[A.BasicTransform | A.BaseCompose]


def _flips() -> _Transforms:
    return [A.Transpose(p=0.5), A.VerticalFlip(p=0.5), A.HorizontalFlip(p=0.5)]


def _usual(s: float) -> _Transforms:
    hole = min(0.375 * s, 0.6)
    return [
        *_flips(),
        A.Affine(
            scale=(1 / (1 + 0.1 * s), 1 + 0.1 * s),
            translate_percent=(-0.1 * s, 0.1 * s),
            rotate=(-15 * s, 15 * s),
            border_mode=cv2.BORDER_REFLECT_101,
            p=0.85,
        ),
        A.RandomBrightnessContrast(brightness_limit=0.2 * s, contrast_limit=0.2 * s, p=0.75),
        A.HueSaturationValue(hue_shift_limit=8 * s, sat_shift_limit=15 * s, val_shift_limit=8 * s, p=0.5),
        A.OneOf(
            [
                A.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.1, 1.0 * s), p=1.0),
                A.GaussNoise(std_range=(0.0, 0.05 * s), p=1.0),
            ],
            p=0.4,
        ),
        A.CoarseDropout(
            num_holes_range=(1, 1),
            hole_height_range=(hole / 2, hole),
            hole_width_range=(hole / 2, hole),
            p=0.5,
        ),
    ]


def _published() -> _Transforms:
    """The transforms of the published classifier, in its order; it was written for albumentations of 2020.

    Its resizing, between the affine map and cut-out, is left out: images already have the models' resolution,
    so that blur and noise apply to their pixels. Its normalisation is part of the model. Where today's
    defaults differ from those of 2020 (borders, grid cells, the blur's standard deviation), the older ones
    are stated. The noise's standard deviation is drawn uniformly; in 2020 it was the variance, from 5 to 30.
    """
    mirrored = {"border_mode": cv2.BORDER_REFLECT_101, "p": 1.0}
    return [
        *_flips(),
        A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.0, p=0.75),
        A.RandomBrightnessContrast(brightness_limit=0.0, contrast_limit=0.2, p=0.75),
        A.OneOf(
            [
                A.MotionBlur(blur_limit=(3, 5), p=1.0),
                A.MedianBlur(blur_limit=(3, 5), p=1.0),
                A.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.8, 1.1), p=1.0),
                A.GaussNoise(std_range=(5**0.5 / 255, 30**0.5 / 255), p=1.0),
            ],
            p=0.7,
        ),
        A.OneOf(
            [
                A.OpticalDistortion(distort_limit=1.0, **mirrored),
                A.GridDistortion(num_steps=5, distort_limit=1.0, normalized=False, **mirrored),
                _LooseAffine(p=1.0),
            ],
            p=0.7,
        ),
        A.CLAHE(clip_limit=4.0, p=0.7),
        A.HueSaturationValue(hue_shift_limit=10, sat_shift_limit=20, val_shift_limit=10, p=0.5),
        A.Affine(
            scale=(0.9, 1.1),
            translate_percent=(-0.1, 0.1),
            rotate=(-15, 15),
            keep_ratio=True,
            border_mode=cv2.BORDER_CONSTANT,
            p=0.85,
        ),
        _CutOut(p=0.7),
    ]


class _LooseAffine(A.ImageOnlyTransform):
    """The affine part of the elastic transform of 2020 at alpha 3, sigma 50: three points move independently.

    Each moves by up to 50 pixels in each direction, relative to a side of 512 (that of the images in the
    published tables). Later versions have dropped this part. The elastic part, noise smoothed over 50 pixels
    and scaled by 3, moves no pixel by more than a few hundredths and is left out.
    """

    _REACH = 50 / 512

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        side = min(params["shape"][:2])
        low, high = side // 2 - side // 3, side // 2 + side // 3
        corners = np.array([[high, high], [high, low], [low, low]], np.float32)
        reach = self._REACH * side
        moved = corners + self.random_generator.uniform(-reach, reach, corners.shape).astype(np.float32)
        return {"matrix": cv2.getAffineTransform(corners, moved)}

    def apply(self, img: np.ndarray, matrix: np.ndarray, **params: Any) -> np.ndarray:
        return cv2.warpAffine(img, matrix, img.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)


class _CutOut(A.ImageOnlyTransform):
    """Cut-out of 2020: one black square with 37.5% of the image's side, centred on a random point.

    Where it would extend beyond the top or left border, it is moved inside; at the bottom and right it is cut
    off.
    """

    _SHARE = 0.375

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        height, width = params["shape"][:2]
        hole = int(self._SHARE * min(height, width))
        y, x = self.random_generator.integers(0, [height, width], endpoint=True)
        top, left = max(y - hole // 2, 0), max(x - hole // 2, 0)
        return {"hole": (slice(top, top + hole), slice(left, left + hole))}

    def apply(self, img: np.ndarray, hole: tuple[slice, slice], **params: Any) -> np.ndarray:
        found = img.copy()
        found[hole] = 0
        return found
