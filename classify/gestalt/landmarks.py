"""The 468 mesh points of a detected face: FaceMesh (Kartynnik et al. 2019)."""

from functools import cache
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.classify.gestalt.alignment import apply, inverse, warp
from morphoscope.classify.gestalt.bundled_networks import MESH
from morphoscope.classify.gestalt.detection import Detection
from morphoscope.cohort.face_mesh import LEFT_EYE_OUTER, POINTS, RIGHT_EYE_OUTER

_SIDE = 192
_ROOM = 1.5  # side of the square that the network sees, in those of the box around the face
_lock = Lock()


class Landmarks(NamedTuple):
    """The mesh of a face.

    Attributes:
        points: float64 [468, 3]; x and y in pixels of the image, z in pixels towards the viewer from the
            middle of the head; see `cohort.face_mesh` for what the points are.
        presence: how certain the network is that it sees a face: the logit of a probability. Unoccluded
            faces have 17 and more, an empty wall less than 0.
    """

    points: NDArray[np.float64]
    presence: float


def find_landmarks(image: np.ndarray, detection: Detection) -> Landmarks:
    """The mesh of a face.

    The network looks twice: at the detected box, and at the box around the points that it found there.

    Args:
        image: uint8 RGB [H, W, 3], in which the face was detected.
    """
    box = detection.box.reshape(2, 2)
    first = _mesh(image, _square(box.mean(axis=0), float(np.ptp(box, axis=0).max()), *detection.points[:2]))
    upright = _square(np.zeros(2), _SIDE, first.points[LEFT_EYE_OUTER, :2], first.points[RIGHT_EYE_OUTER, :2])
    turned = apply(upright, first.points[:, :2])
    middle = (turned.min(axis=0) + turned.max(axis=0)) / 2
    centre = apply(inverse(upright), middle[None])[0]
    side = float(np.ptp(turned, axis=0).max()) * _ROOM  # `upright` has the scale 1 / _ROOM
    return _mesh(image, _square(centre, side, first.points[LEFT_EYE_OUTER], first.points[RIGHT_EYE_OUTER]))


def _square(centre: np.ndarray, side: float, left_eye: np.ndarray, right_eye: np.ndarray) -> np.ndarray:
    """The similarity [2, 3] to the network's input from the square around a box, turned as the eyes are."""
    x, y = (right_eye - left_eye)[:2]
    factor = _SIDE / (side * _ROOM) * np.array([x, y]) / max(float(np.hypot(x, y)), 1e-9)
    linear = np.array([[factor[0], factor[1]], [-factor[1], factor[0]]])
    return np.concatenate([linear, (_SIDE / 2 - linear @ centre)[:, None]], axis=1)


def _mesh(image: np.ndarray, transform: np.ndarray) -> Landmarks:
    blob = cv2.dnn.blobFromImage(warp(image, transform, _SIDE), 1 / 255)
    with _lock:
        network = _network()
        network.setInput(blob)
        presence, raw = network.forward(network.getUnconnectedOutLayersNames())
    points = raw.reshape(POINTS, 3).astype(np.float64)
    points[:, 2] *= -1  # the network's z grows away from the viewer
    return Landmarks(apply(inverse(transform), points), float(presence.item()))


@cache
def _network() -> cv2.dnn.Net:
    return cv2.dnn.readNetFromTFLite(str(MESH))
