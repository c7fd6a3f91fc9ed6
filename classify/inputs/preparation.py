"""From images of any size to the arrays that an ensemble's models take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from morphoscope.classify.inputs.pairs import HALVES
from morphoscope.cohort.resizing import Fit, square
from morphoscope.configs import UserError, arguments
from morphoscope.configs.classifier import EnsembleTraining


def check_image(image: Any) -> None:
    """Raise UserError unless this is a uint8 RGB image [H, W, 3]."""
    if not _is_image(image):
        raise UserError(f"Expected uint8 RGB images [H, W, 3], got {arguments.described(image)}.")


def _is_image(image: Any) -> bool:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3:
        return False
    return image.shape[2] == 3 and 0 not in image.shape


@dataclass(frozen=True)
class InputPreparation:
    """How images become a model's inputs.

    Attributes:
        resolution: R, side of a square input, pixels.
        fit: how an image that is not square becomes square.
        dual: whether the inputs are pairs of a focused and a panoramic photograph.
    """

    resolution: int
    fit: Fit
    dual: bool

    @classmethod
    def of(cls, config: EnsembleTraining) -> "InputPreparation":
        """That of the models trained with `config`."""
        return cls(config.images.resolution, config.images.fit, config.images.views == "dual")

    def pair(self, focused: np.ndarray | None, panoramic: np.ndarray | None) -> np.ndarray:
        """Both photographs side by side, uint8 [R, 2R, 3]; a missing one is black.

        Args:
            focused, panoramic: uint8 RGB [H, W, 3] of any size; None if missing.

        Raises:
            UserError: both are missing, or one is not uint8 RGB.
        """
        if focused is None and panoramic is None:
            raise UserError("A pair needs a focused or a panoramic photograph.")
        missing = np.zeros((self.resolution, self.resolution, 3), np.uint8)
        halves = [missing if half is None else self._squares([half])[0] for half in (focused, panoramic)]
        return np.concatenate(halves, axis=1)

    def inputs(self, images: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """What the models see: uint8 [n, R, R, 3] or, for pairs, [n, R, 2R, 3].

        Args:
            images: n >= 1 uint8 RGB images [H, W, 3] of any size, or pairs as `pair` makes them.

        Raises:
            UserError: not uint8 RGB, or no pair where pairs are expected.
        """
        if not self.dual:
            return self._squares(images)
        side = self.resolution
        for image in images:
            if not _is_image(image) or image.shape != (side, 2 * side, 3) or not image.any():
                raise UserError(
                    f"This ensemble takes pairs of a focused and a panoramic photograph, uint8 [{side}, "
                    f"{2 * side}, 3] and not all black; got {arguments.described(image)}. "
                    "`Ensemble.pair` makes them."
                )
        return np.stack(list(images))

    def forms(self, inputs: np.ndarray) -> np.ndarray:
        """The `Form` of each input, str [n]."""
        if not self.dual:
            return np.full(len(inputs), "whole")
        left, right = (half.any(axis=(1, 2, 3)) for half in np.split(inputs, 2, axis=2))
        return np.where(left & right, "whole", np.where(left, *HALVES))

    def _squares(self, images: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """uint8 [n, R, R, 3]."""
        for image in images:
            check_image(image)
        return np.stack([square(Image.fromarray(image), self.resolution, self.fit) for image in images])
