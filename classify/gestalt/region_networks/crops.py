"""The regions of a face as networks see them: upright, square and grey."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from morphoscope.classify.gestalt.alignment import apply, similarity, warp
from morphoscope.classify.gestalt.preparation import Face
from morphoscope.classify.gestalt.regions import crop_boxes
from morphoscope.cohort.face_mesh import canonical_face
from morphoscope.cohort.luma import in_grey

_SCALE = 20.0  # units per cm of the canonical face: crop boxes are whole numbers
Box = tuple[int, int, int, int]


def region_crops(face: Face, regions: Sequence[str], size: int) -> NDArray[np.uint8]:
    """Crops of a face, uint8 [R, size, size, 1].

    The face is turned upright, so that its mesh lies over the canonical face. Each crop is centred on the
    region and covers its area, in the proportions of the canonical face: all crops of a region are stretched
    alike, and a long face stays long.

    Args:
        regions: names among `regions.CROPS`.
        size: side in pixels.
    """
    upright = similarity(face.landmarks.points[:, :2], _canonical_points())
    boxes = crop_boxes(apply(upright, face.landmarks.points))
    crops = [warp(face.image, _onto_square(upright, boxes[name], name, size), size) for name in regions]
    return in_grey(np.stack(crops))[..., :1]


def _onto_square(upright: np.ndarray, box: Box, region: str, size: int) -> NDArray[np.float64]:
    """The affine map [2, 3] from the photograph to the square of a region."""
    left, top, right, bottom = box
    width, height = _canonical_size(region)
    scale = np.sqrt((right - left) * (bottom - top) / (width * height))
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    factor = size / (scale * np.array([width, height]))
    return np.asarray(
        np.concatenate(
            [
                factor[:, None] * upright[:, :2],
                (factor * (upright[:, 2] - centre) + (size - 1) / 2)[:, None],
            ],
            axis=1,
        )
    )


@cache
def _canonical_points() -> NDArray[np.float64]:
    """The canonical face in an image's coordinates, y down, [468, 2]. Do not change it."""
    return np.asarray(canonical_face().points[:, :2] * [_SCALE, -_SCALE], np.float64)


@cache
def _canonical_size(region: str) -> tuple[float, float]:
    """Width and height of a region of the canonical face."""
    left, top, right, bottom = crop_boxes(_canonical_points())[region]
    return float(right - left), float(bottom - top)
