"""Where the faces of a photograph are: BlazeFace's full-range model (Bazarevsky et al. 2019)."""

from functools import cache
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from morphoscope.classify.gestalt.bundled_networks import DETECTOR

_SIDE = 192  # pixels of the network's input
_CELLS = 48  # one anchor in the middle of each of 48 x 48 cells
_POINTS = 6  # key points: eyes (left in the image first), tip of the nose, mouth, ears
_MIN_SCORE, _OVERLAP = 0.5, 0.3  # as in MediaPipe
_OUTPUTS = ("reshaped_classifier_face_4", "reshaped_regressor_face_4")
_lock = Lock()  # OpenCV's networks hold the state of one forward pass


class Detection(NamedTuple):
    """A face that was detected.

    Attributes:
        box: left, top, right and bottom in pixels of the image, float64 [4]; parts may lie outside.
        points: x and y of the eye on the left of an upright face, the other eye, tip of the nose, mouth, and
            the ears in the same order, in pixels, float64 [6, 2].
        score: in (0.5, 1].
    """

    box: NDArray[np.float64]
    points: NDArray[np.float64]
    score: float


class Attempt(NamedTuple):
    """How the network looks at an image.

    Attributes:
        margin: added around a photograph that a face may fill, of its longer side; the network was trained
            on faces that do not fill the image.
        quarter_turns: counterclockwise, before the network sees it.
    """

    margin: float = 0.0
    quarter_turns: int = 0


ATTEMPTS = (Attempt(), Attempt(margin=0.5), *(Attempt(quarter_turns=turns) for turns in (1, 3, 2)))
"""What to try in this order until a face is found."""


def detect_faces(image: np.ndarray, attempt: Attempt = ATTEMPTS[0]) -> list[Detection]:
    """What looks like a face in one pass of the network, the best first; empty if nothing does.

    Args:
        image: uint8 RGB [H, W, 3].
    """
    turned = np.rot90(image, attempt.quarter_turns)
    found = _detect(turned, attempt.margin)
    return [_turned_back(one, image.shape, attempt.quarter_turns) for one in found]


def _detect(image: np.ndarray, margin: float) -> list[Detection]:
    """The faces that one pass of the network finds in an image with a margin of its longer side around it."""
    height, width = image.shape[:2]
    scale = _SIDE / (max(height, width) * (1 + 2 * margin))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    shrunk = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    left, top = (_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2
    border = cv2.BORDER_REPLICATE if margin else cv2.BORDER_CONSTANT
    canvas = cv2.copyMakeBorder(
        shrunk, top, _SIDE - size[1] - top, left, _SIDE - size[0] - left, border, value=(0, 0, 0)
    )
    logits, raw = _forward(canvas)
    scores, numbers = expit(np.clip(logits, -80, 80)), raw.reshape(-1, 2 + _POINTS, 2).astype(np.float64)
    kept = scores > _MIN_SCORE
    scores, numbers, centres = scores[kept], numbers[kept], _anchors()[kept]
    middle, half = numbers[:, 0] + centres, numbers[:, 1] / 2
    corners = np.stack([middle - half, middle + half], axis=1)
    places = np.concatenate([corners, numbers[:, 2:] + centres[:, None]], axis=1)
    places = (places - np.array([left, top])) * np.array([width / size[0], height / size[1]])
    return [Detection(merged[:2].ravel(), merged[2:], score) for merged, score in _suppressed(places, scores)]


def _forward(canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(scores [2304], boxes and points [2304, 16]) of uint8 [192, 192, 3]; both raw, in pixels."""
    blob = cv2.dnn.blobFromImage(canvas, 1 / 127.5, mean=(127.5, 127.5, 127.5))
    with _lock:
        network = _network()
        network.setInput(blob)
        logits, boxes = network.forward(_OUTPUTS)
    return logits.ravel(), boxes[0]


@cache
def _network() -> cv2.dnn.Net:
    return cv2.dnn.readNetFromTFLite(str(DETECTOR))


@cache
def _anchors() -> NDArray[np.float64]:
    """Middles of the cells in pixels of the network's input, row by row: [2304, 2]."""
    middles = (np.arange(_CELLS) + 0.5) * _SIDE / _CELLS
    x, y = np.meshgrid(middles, middles)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def _suppressed(places: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Non-maximum suppression as MediaPipe does it: boxes that overlap the best one are averaged by score.

    Args:
        places: corners and points of each candidate, [N, 2 + points, 2].
        scores: [N].
    """
    found = []
    remaining = np.argsort(-scores, kind="stable")
    while len(remaining):
        overlapping = _overlaps(places[remaining], places[remaining[0]]) > _OVERLAP
        overlapping[0] = True  # also a box without area
        together, remaining = remaining[overlapping], remaining[~overlapping]
        found.append(
            (np.average(places[together], axis=0, weights=scores[together]), float(scores[together[0]]))
        )
    return found


def _overlaps(places: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Intersection over union of the boxes [N, 2.., 2] with that of `one`."""
    low, high = np.maximum(places[:, 0], one[0]), np.minimum(places[:, 1], one[1])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(places[:, 1] - places[:, 0], axis=1) + np.prod(one[1] - one[0]) - shared
    return shared / np.maximum(areas, 1e-9)


def _turned_back(one: Detection, shape: tuple[int, ...], quarter_turns: int) -> Detection:
    """A detection in an image turned by `np.rot90`, in the coordinates of the image before, of this shape."""
    corners = _unturned(one.box.reshape(2, 2), shape, quarter_turns)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return Detection(box, _unturned(one.points, shape, quarter_turns), one.score)


def _unturned(points: np.ndarray, shape: tuple[int, ...], quarter_turns: int) -> np.ndarray:
    """Points [N, 2] of a turned image in the image before: np.rot90 takes (x, y) to (y, width - x)."""
    height, width = shape[:2]
    x, y = points.T
    back = {0: (x, y), 1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}
    return np.stack(back[quarter_turns], axis=1)
