"""Phantom people: heads rendered from the canonical face mesh, in place of photographs of anybody.

Face detectors find them, so that everything for faces runs, and is tested, without a photograph of a person.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.face_mesh import (
    LEFT_BROW,
    LEFT_EYE,
    LEFT_NOSTRIL,
    LIPS,
    MOUTH_OPENING,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_NOSTRIL,
    canonical_face,
)
from morphoscope.cohort.phantom.face_shapes import Bump, shifts
from morphoscope.configs import arguments

Points = NDArray[np.float64]

_OVERSAMPLING = 2
_HEIGHT = 30.0  # centimetres that the image shows
_LIGHTEST_SKIN = np.array([235.0, 185.0, 155.0])
# How the shapes of people differ: the shifts are standard deviations.
_SHAPE = (
    Bump(3.2, 2.6, 1.6, 0.20, 0.20),  # eyes
    Bump(3.5, 4.6, 1.6, 0.15, 0.30),  # brows
    Bump(1.4, -1.6, 1.2, 0.20, 0.25),  # nostrils
    Bump(2.4, -4.3, 1.6, 0.25, 0.25),  # corners of the mouth
    Bump(5.6, -5.5, 3.0, 0.55, 0.40),  # jaw
    Bump(6.0, 6.0, 3.0, 0.45, 0.50),  # temples
    Bump(0.6, -9.0, 2.5, 0.10, 0.50),  # chin
)


@dataclass(frozen=True, eq=False)
class PhantomPerson:
    """What all images of one phantom person share.

    Attributes:
        points: the head's mesh, float64 [468, 3] in cm.
        skin, hair, iris, lips: colours, RGB 0 to 255.
        brow: thickness of the brows, 1 for the mean.
    """

    points: Points
    skin: NDArray[np.float64]
    hair: NDArray[np.float64]
    iris: NDArray[np.float64]
    lips: NDArray[np.float64]
    brow: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> "PhantomPerson":
        """A random person; all shades of skin are about equally frequent."""
        points = canonical_face().points.astype(np.float64)
        points = points * (1 + random.normal(0, [0.04, 0.03, 0.05]))
        drawn = [
            one._replace(outwards=random.normal(0, one.outwards), upwards=random.normal(0, one.upwards))
            for one in _SHAPE
        ]
        points[:, :2] += shifts(drawn)
        skin = _LIGHTEST_SKIN * random.uniform(0.4, 1.0)
        return cls(
            points=points,
            skin=skin,
            hair=random.uniform(10, 110) * np.array([1, random.uniform(0.7, 0.95), random.uniform(0.4, 0.8)]),
            iris=np.array([40, 40, 30]) + random.uniform(0, 60, 3),
            lips=skin * np.array([0.88, random.uniform(0.5, 0.65), random.uniform(0.5, 0.65)]),
            brow=random.uniform(0.7, 1.4),
        )


def phantom_head(person: PhantomPerson, random: np.random.Generator, size: int = 256) -> NDArray[np.uint8]:
    """One photograph of a phantom person, uint8 RGB [size, size, 3].

    Pose, light, clothes and background are random.

    Args:
        size: side in pixels, 64 to 1024.

    Raises:
        UserError: a size out of range.
    """
    arguments.whole_number("size", size, 64, 1024)
    side = size * _OVERSAMPLING
    points = _posed(person.points, random)
    scale = side / _HEIGHT
    places = np.stack([side / 2 + points[:, 0] * scale, side * 0.52 - points[:, 1] * scale], axis=1)
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = random.uniform(60, 210, 3)
    _draw_behind(canvas, places, person, random)
    _draw_skin(canvas, points, places, person, random)
    _draw_features(canvas, places, person)
    noisy = cv2.GaussianBlur(canvas, (0, 0), 0.6 * _OVERSAMPLING) + random.normal(0, 3, canvas.shape)
    shrunk = cv2.resize(np.clip(noisy, 0, 255), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(shrunk), np.uint8)


def _posed(points: Points, random: np.random.Generator) -> Points:
    """The points of a head that is turned a little: yaw, pitch and roll with SDs of 6, 4 and 3 degrees."""
    yaw, pitch, roll = np.deg2rad(random.normal(0, [6, 4, 3]))
    turned = points
    for angle, (first, second) in ((pitch, (1, 2)), (yaw, (2, 0)), (roll, (0, 1))):
        moved = turned.copy()
        moved[:, first] = np.cos(angle) * turned[:, first] - np.sin(angle) * turned[:, second]
        moved[:, second] = np.sin(angle) * turned[:, first] + np.cos(angle) * turned[:, second]
        turned = moved
    return turned


def _draw_behind(
    canvas: np.ndarray, places: Points, person: PhantomPerson, random: np.random.Generator
) -> None:
    """Clothes, neck, hair, ears and the forehead above the mesh."""
    (x, y), (wide, high) = places[OVAL].mean(axis=0), np.ptp(places[OVAL], axis=0) / 2

    def ellipse(right: float, down: float, width: float, height: float, colour: np.ndarray) -> None:
        centre, axes = (x + right * wide, y + down * high), (2 * width * wide, 2 * height * high)
        cv2.ellipse(canvas, (centre, axes, 0.0), colour.tolist(), -1, cv2.LINE_AA)

    ellipse(0, 2.1, 2.0, 0.95, random.uniform(30, 220, 3))
    ellipse(0, 1.0, 0.55, 0.85, person.skin * 0.72)
    ellipse(0, -0.25, 1.18, 1.18, person.hair)
    for sign in (-1, 1):
        ellipse(sign, 0, 0.12, 0.2, person.skin * 0.8)
    ellipse(0, -0.42, 0.93, 0.8, person.skin * 0.93)


def _draw_skin(
    canvas: np.ndarray, points: Points, places: Points, person: PhantomPerson, random: np.random.Generator
) -> None:
    """The mesh, shaded by a light from above (Lambert), the farthest triangles first, and smoothed."""
    triangles = canonical_face().triangles
    first, second, third = (points[triangles[:, corner]] for corner in range(3))
    normals = np.cross(second - first, third - first)
    normals *= np.sign(normals[:, 2].mean()) / np.maximum(
        np.linalg.norm(normals, axis=1, keepdims=True), 1e-9
    )
    light = np.array([random.uniform(-0.6, 0.6), 0.5, 1.0])
    shades = 0.45 + 0.6 * np.clip(normals @ (light / np.linalg.norm(light)), 0, 1)
    before = canvas.copy()
    for index in np.argsort(points[triangles][:, :, 2].mean(axis=1)):
        _fill(canvas, places[triangles[index]], person.skin * shades[index])
    inside = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(places[OVAL]).astype(np.int32)], 1)
    softness = canvas.shape[0] / 100
    weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), softness / 2)[..., None]
    canvas[:] = before * (1 - weight) + cv2.GaussianBlur(canvas, (0, 0), softness) * weight


def _draw_features(canvas: np.ndarray, places: Points, person: PhantomPerson) -> None:
    """Lips, eyes, brows and nostrils."""
    _fill(canvas, places[LIPS], person.lips)
    _fill(canvas, places[MOUTH_OPENING], person.skin * 0.35)
    for eye in (LEFT_EYE, RIGHT_EYE):
        corners = places[eye]
        _fill(canvas, corners, np.array([215.0, 210.0, 205.0]))
        inside = np.zeros(canvas.shape[:2], np.uint8)
        cv2.fillPoly(inside, [np.round(corners).astype(np.int32)], 1)
        radius, centre = (
            np.ptp(corners[:, 0]) * 0.22,
            tuple(np.round(corners.mean(axis=0)).astype(int).tolist()),
        )
        layer = canvas.copy()
        cv2.circle(layer, centre, round(radius), person.iris.tolist(), -1, cv2.LINE_AA)
        cv2.circle(layer, centre, round(radius / 2), (10.0, 10.0, 10.0), -1, cv2.LINE_AA)
        canvas[inside > 0] = layer[inside > 0]
        lid = np.round(corners[8:]).astype(np.int32)
        cv2.polylines(
            canvas, [lid], False, (person.skin * 0.3).tolist(), max(1, canvas.shape[0] // 170), cv2.LINE_AA
        )
    for brow in (LEFT_BROW, RIGHT_BROW):
        middle = places[brow].mean(axis=0)
        _fill(canvas, middle + (places[brow] - middle) * [1, person.brow], person.hair * 0.8)
    for nostril in (LEFT_NOSTRIL, RIGHT_NOSTRIL):
        width = canvas.shape[0] * 0.011
        spread = np.array([[-1, 0], [0, -0.5], [1, 0], [0, 0.5]]) * width
        _fill(canvas, places[nostril] + spread, person.skin * 0.4)


def _fill(canvas: np.ndarray, corners: np.ndarray, colour: np.ndarray) -> None:
    """Fill a polygon, with corners to a sixteenth of a pixel."""
    cv2.fillPoly(canvas, [np.round(corners * 16).astype(np.int32)], colour.tolist(), cv2.LINE_AA, 4)
