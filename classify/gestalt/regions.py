"""Regions of a face, from its mesh: the crops of DeepGestalt (Gurovich et al. 2019), and disjoint parts."""

from functools import cache
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.face_mesh import canonical_face
from morphoscope.configs.faces import Region

PARTS = ("forehead", "eyes", "nose", "cheeks", "mouth", "chin")
"""Parts of the face: the eyes with their brows, the mouth with the philtrum, the chin with the jaw."""
CROPS: tuple[str, ...] = get_args(Region)
"""The regions that DeepGestalt looks at, one network each."""

_MARGIN = 0.08  # around a crop, of its longer side
# Limits of the crops along the canonical face: (left, right, lower, upper) in cm; x to the right, y up.
_LIMITS = {
    "whole": (-8.0, 8.0, -9.5, 8.5),
    "upper": (-8.0, 8.0, -1.0, 8.5),
    "middle": (-8.0, 8.0, -3.4, 4.0),
    "lower": (-8.0, 8.0, -9.5, 0.0),
    "left": (-8.0, 0.0, -9.5, 8.5),
    "right": (0.0, 8.0, -9.5, 8.5),
    "eyes": (-6.2, 6.2, 1.4, 5.3),
    "nose": (-2.6, 2.6, -2.6, 3.3),
    "mouth": (-3.6, 3.6, -6.2, -2.4),
}


def crop_boxes(points: np.ndarray) -> dict[str, tuple[int, int, int, int]]:
    """DeepGestalt's crops of an upright face: (left, top, right, bottom) in pixels, which may lie outside.

    Args:
        points: mesh points in the aligned image, [468, 2 or 3].
    """
    place = canonical_face().points
    boxes = {}
    for name in CROPS:
        left, right, low, high = _LIMITS[name]
        inside = (place[:, 0] >= left) & (place[:, 0] <= right) & (place[:, 1] >= low) & (place[:, 1] <= high)
        first, last = points[inside, :2].min(axis=0), points[inside, :2].max(axis=0)
        margin = _MARGIN * float((last - first).max())
        start, end = np.floor(first - margin).astype(int), np.ceil(last + margin).astype(int)
        boxes[name] = (int(start[0]), int(start[1]), int(end[0]), int(end[1]))
    return boxes


def part_masks(points: np.ndarray, size: int) -> dict[str, NDArray[np.bool_]]:
    """The pixels of each of `PARTS` in an aligned face, bool [size, size]; none belongs to two parts.

    Args:
        points: mesh points in the aligned image, [468, 2 or 3].
        size: its side in pixels.
    """
    numbers = np.full((size, size), -1, np.int16)
    corners = np.round(points[:, :2][canonical_face().triangles]).astype(np.int32)
    for part, triangle in zip(_part_of_triangles(), corners, strict=True):
        cv2.fillConvexPoly(numbers, triangle, int(part))
    return {name: numbers == index for index, name in enumerate(PARTS)}


@cache
def _part_of_triangles() -> NDArray[np.int64]:
    """Number of the part that each triangle of the mesh belongs to, by its place on the canonical face."""
    points, triangles = canonical_face()
    x, y = np.abs(points[triangles, 0].mean(axis=1)), points[triangles, 1].mean(axis=1)
    bridge = x < 1.3
    conditions = {
        "forehead": (y > 5.2) | ((y > 3.6) & bridge) | ((y > 4.4) & (x > 6.0)),
        "eyes": (y > 1.3) & ~bridge & (x < 6.3),
        "nose": (y > -2.2) & (x < 2.1),
        "mouth": (y > -6.0) & (y < -2.0) & (x < 3.6),
        "chin": y < -4.5,
    }
    chosen = np.select(
        list(conditions.values()), [PARTS.index(name) for name in conditions], PARTS.index("cheeks")
    )
    return np.asarray(chosen)
