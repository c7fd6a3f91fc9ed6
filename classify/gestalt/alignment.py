"""Upright faces of one size: similarity transforms from mesh points to a template."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Template:
    """Where an encoder expects parts of the face.

    Attributes:
        size: side of the square image in pixels.
        parts: the mesh points whose mean is each part's place.
        places: x and y of each part in pixels, float64 [parts, 2].
    """

    size: int
    parts: tuple[tuple[int, ...], ...]
    places: NDArray[np.float64]

    def transform(self, points: np.ndarray) -> NDArray[np.float64]:
        """The similarity [2, 3] from the image that has these mesh points [468, 2 or 3] to the template."""
        found = np.stack([points[list(part), :2].mean(axis=0) for part in self.parts])
        return similarity(found, self.places)


def similarity(source: np.ndarray, target: np.ndarray) -> NDArray[np.float64]:
    """Rotation, uniform scale and shift that take `source` to `target` with the least squares (Umeyama 1991).

    Args:
        source, target: points [N, 2], N >= 2, not all the same.

    Returns:
        float64 [2, 3], as `cv2.warpAffine` takes it; never a reflection.
    """
    # In the plane a similarity is one complex factor and a shift.
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (source, target))
    centred = a - a.mean()
    factor = np.vdot(centred, b - b.mean()) / np.vdot(centred, centred).real
    shift = b.mean() - factor * a.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def apply(transform: np.ndarray, points: np.ndarray) -> NDArray[np.float64]:
    """Points [N, 2 or 3] after a similarity [2, 3]; a third coordinate is scaled."""
    moved = points[:, :2] @ transform[:, :2].T + transform[:, 2]
    return np.concatenate([moved, points[:, 2:] * scale_of(transform)], axis=1)


def inverse(transform: np.ndarray) -> NDArray[np.float64]:
    """The transform back, [2, 3]."""
    return np.asarray(cv2.invertAffineTransform(transform))


def scale_of(transform: np.ndarray) -> float:
    """Length in the target of one pixel of the source."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def warp(image: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """The square [size, size, ...] of an image that a similarity takes it to; its borders are continued.

    An image that becomes smaller is averaged first, so that fine patterns do not alias.
    """
    factor = scale_of(transform)
    if factor < 0.5:
        image, transform = _shrunk(image, transform, size, factor)
    return cv2.warpAffine(
        image, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _shrunk(
    image: np.ndarray, transform: np.ndarray, size: int, factor: float
) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image that the square shows, at about the target's scale, and the transform from it."""
    corners = apply(inverse(transform), np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64))
    border = 2 / factor
    left, top = np.maximum(np.floor(corners.min(axis=0) - border), 0).astype(int)
    right, bottom = np.ceil(corners.max(axis=0) + border).astype(int)
    part = image[top:bottom, left:right]
    if part.size == 0:  # the square lies beside the image
        return image, transform
    height, width = part.shape[:2]
    shrunk = cv2.resize(
        part, (max(round(width * factor), 1), max(round(height * factor), 1)), interpolation=cv2.INTER_AREA
    )
    ratio = np.array([width / shrunk.shape[1], height / shrunk.shape[0]])
    # Pixel centres: x = (x' + 0.5) * ratio - 0.5 + left.
    offset = 0.5 * ratio - 0.5 + [left, top]
    shift = transform[:, :2] @ offset + transform[:, 2]
    return shrunk, np.concatenate([transform[:, :2] * ratio, shift[:, None]], axis=1)


def mean_points(points: np.ndarray, groups: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """The mean of each group of mesh points [468, D]: [groups, D]."""
    return np.stack([points[list(group)].mean(axis=0) for group in groups])
