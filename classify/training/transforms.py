"""Random transforms of training images. The only file that touches albumentations (2.0.8, unmaintained)."""

import os

import numpy as np

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks a server for news
import albumentations as A
import cv2


class TrainingTransforms:
    """Flips, transposition, small moves, light and colour changes, blur or noise, and a cut-out.

    Every choice follows from the seed, so that an epoch can be repeated exactly.
    """

    def __init__(self, strength: float) -> None:
        """`strength` scales every range; 1 is the usual, 0 leaves images as they are."""
        self._pipeline = A.Compose(_transforms(strength) if strength > 0 else [], seed=0)

    def seed(self, seed: int) -> None:
        """Start the random choices again from `seed`."""
        self._pipeline.set_random_seed(seed)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 [S,S,3] -> uint8 [S,S,3], a new array."""
        return self._pipeline(image=image)["image"]


def _transforms(s: float) -> list[A.BasicTransform | A.BaseCompose]:
    hole = min(0.375 * s, 0.6)
    return [
        A.Transpose(p=0.5),
        A.VerticalFlip(p=0.5),
        A.HorizontalFlip(p=0.5),
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
