"""Images as users give them, paths, Pillow images or arrays, as the arrays that are predicted."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from morphoscope.cohort.reading import pixels_of, read_image
from morphoscope.configs import arguments

Photograph: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray
"""A file's path, a Pillow image, or uint8 RGB [H, W, 3]."""
Photographs: TypeAlias = Photograph | Sequence[Photograph]
"""One photograph, several, or an array uint8 RGB [N, H, W, 3]."""

_TAKES = "a path, a Pillow image or uint8 RGB [H, W, 3], or a list of these, or an array [N, H, W, 3]"


class _Read(Sequence[np.ndarray]):
    """Photographs that are read only when they are needed: a folder of them need not fit into memory."""

    def __init__(self, images: Sequence[Photograph]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        """One image; for a slice a list of them."""
        chosen = self.images[index]
        return [as_array(image) for image in chosen] if isinstance(index, slice) else as_array(chosen)


def as_array(image: Any) -> Any:
    """A path or a Pillow image as uint8 [H, W, 3], read and normalised like `cohort.read_image`.

    Whatever else it is stays as it is, and is checked where images are prepared.

    Raises:
        UserError: the image cannot be read.
    """
    if isinstance(image, Image.Image):
        return pixels_of(image)
    return read_image(Path(image)) if isinstance(image, str | os.PathLike) else image


def as_arrays(images: Any, fewest: int = 0) -> np.ndarray | Sequence[np.ndarray]:
    """One or more photographs, at least `fewest`, as N arrays.

    Files are read, and images are checked, when they are indexed: there may be more than fit into memory.

    Raises:
        UserError: neither photographs nor a sequence, or fewer.
    """
    found = _several(images)
    if len(found) < fewest:
        arguments.refuse("images", f"at least {fewest} image", images)
    return found


def _several(images: Any) -> np.ndarray | Sequence[np.ndarray]:
    if isinstance(images, str | os.PathLike | Image.Image):
        return _Read([images])
    if isinstance(images, np.ndarray):
        if images.ndim not in (3, 4) or images.shape[-1] != 3 or images.dtype != np.uint8:
            arguments.refuse("images", _TAKES, images)
        return images[None] if images.ndim == 3 else images
    if isinstance(images, list | tuple):
        return _Read(images)
    if isinstance(images, bytes) or not isinstance(images, Sequence):
        arguments.refuse("images", _TAKES, images)
    return images
