"""Random changes of the crops that networks are trained on."""

from collections.abc import Sequence

import cv2
import numpy as np

from morphoscope.configs.faces import FaceChangesGroup


class FaceChanges:
    """Small rotations, shifts, changes of size, mirroring, and changes of brightness and contrast."""

    def __init__(self, settings: FaceChangesGroup) -> None:
        self._settings = settings

    def __call__(self, image: np.ndarray, seed: int | Sequence[int]) -> np.ndarray:
        """Change one crop, uint8 [S, S, 1], into a new one; `seed` determines how."""
        random, settings = np.random.default_rng(seed), self._settings
        side = len(image)
        angle = random.uniform(-settings.rotation, settings.rotation)
        scale, x, y = random.uniform(-settings.shift, settings.shift, 3)
        matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1 + scale)
        matrix[:, 2] += side * np.array([x, y])
        moved = cv2.warpAffine(
            np.ascontiguousarray(image[..., 0]), matrix, (side, side), borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        if settings.mirror and random.random() < 0.5:
            moved = moved[:, ::-1]
        brightness, contrast = 1 + random.uniform(-settings.jitter, settings.jitter, 2)
        mean = moved.mean()
        changed = (moved - mean) * contrast + mean * brightness
        return np.clip(np.round(changed), 0, 255).astype(np.uint8)[..., None]
