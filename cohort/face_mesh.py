"""The face mesh: 468 numbered points of a face (MediaPipe's), what they are called, and their mean geometry.

"Left" and "right" are those of an upright image, as its viewer sees them:
the person's right eye is the left one.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

CANONICAL_FACE = Path(__file__).parent / "face_mesh.safetensors"
POINTS = 468

OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377]
OVAL += [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
LEFT_EYE = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
RIGHT_EYE = [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
LEFT_BROW = [70, 63, 105, 66, 107, 55, 65, 52, 53, 46]
RIGHT_BROW = [300, 293, 334, 296, 336, 285, 295, 282, 283, 276]
LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
MOUTH_OPENING = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
NOSE = [168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 48, 278, 129, 358, 122, 351, 193, 417, 49, 279]

LEFT_EYE_OUTER, LEFT_EYE_INNER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER = 33, 133, 362, 263
NOSE_TIP, NOSE_BASE, NASION = 1, 2, 168
MOUTH_LEFT, MOUTH_RIGHT, UPPER_LIP = 61, 291, 0
CHIN, FOREHEAD, LEFT_NOSTRIL, RIGHT_NOSTRIL = 152, 10, 98, 327


class Geometry(NamedTuple):
    """The mean face.

    Attributes:
        points: float32 [468, 3] in cm; x to the right of the image, y up, z towards the viewer.
        triangles: numbers of the points of each triangle, int32 [898, 3].
    """

    points: NDArray[np.float32]
    triangles: NDArray[np.int32]


@cache
def canonical_face() -> Geometry:
    """MediaPipe's canonical face model. Do not change the arrays."""
    return Geometry(**load_file(CANONICAL_FACE))
