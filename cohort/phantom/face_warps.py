"""Phantom syndromes: photographs of faces, warped by known amounts at known places.

They give what no cohort of patients can: the truth about which change is there, how strong it is, and where.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.face_mesh import canonical_face
from morphoscope.cohort.phantom.face_shapes import Bump, shifts

UNCHANGED = "unaffected"
# Shifts at degree 1, about three standard deviations of healthy adults where these are published.
_CHANGES = {
    "wide-set eyes": (Bump(3.3, 2.8, 1.8, 0.60, 0.0),),
    "down-slanting eyes": (Bump(4.6, 2.7, 1.1, 0.0, -0.50), Bump(1.8, 2.7, 0.9, 0.0, 0.25)),
    "long philtrum": (Bump(0.0, -5.0, 2.4, 0.0, -0.70),),
    "small chin": (Bump(0.0, -9.2, 2.6, 0.0, 1.00), Bump(4.5, -7.5, 2.4, -0.50, 0.30)),
    "broad nasal bridge": (Bump(1.1, 2.2, 1.1, 0.45, 0.0), Bump(0.0, -0.8, 1.4, 0.0, 0.35)),
    "wide mouth": (Bump(2.4, -4.3, 1.5, 0.70, 0.0),),
}
PHANTOM_SYNDROMES = tuple(_CHANGES)
"""Changes that can be drawn; `UNCHANGED` stands for faces without one."""

_CONTROL = 4  # every fourth mesh point steers the spline
_AROUND = 1.7  # distance of the ring of fixed points, in half-sizes of the face
_RING = 24
_GRID = 6  # pixels between the points at which the spline is evaluated, for a face of 256 pixels
_MASKED = 0.3  # a pixel belongs to the mask from this fraction of the strongest shift on


class WarpedFace(NamedTuple):
    """A face with a phantom syndrome.

    Attributes:
        image: uint8 RGB, of the photograph's size.
        mask: bool [H, W], where the face was changed.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def warp_face(image: np.ndarray, points: np.ndarray, syndrome: str, degree: float) -> WarpedFace:
    """Give a face a phantom syndrome, by a thin-plate spline through its mesh points (Bookstein 1989).

    Args:
        image: uint8 RGB [H, W, 3].
        points: its mesh points in pixels, [468, 2 or 3].
        syndrome: one of `PHANTOM_SYNDROMES`, or `UNCHANGED`.
        degree: strength; 0 changes nothing, and 1 is clear to see.
    """
    from scipy.interpolate import RBFInterpolator  # only here: other commands of a cohort start without SciPy

    if syndrome == UNCHANGED or degree == 0:
        return WarpedFace(image.copy(), np.zeros(image.shape[:2], bool))
    before = points[:, :2]
    after = before + _in_pixels(before, shifts(_CHANGES[syndrome]) * degree)
    middle, half = before.mean(axis=0), np.ptp(before, axis=0).max() / 2
    angles = np.linspace(0, 2 * np.pi, _RING, endpoint=False)
    ring = middle + _AROUND * half * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    controls = np.concatenate([after[::_CONTROL], ring])
    moved = np.concatenate([(before - after)[::_CONTROL], np.zeros_like(ring)])
    flow = _flow(RBFInterpolator(controls, moved, kernel="thin_plate_spline"), image.shape, middle, half)
    y, x = np.indices(image.shape[:2], np.float32)
    warped = cv2.remap(
        image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    strength = np.hypot(flow[..., 0], flow[..., 1])
    return WarpedFace(np.asarray(warped, np.uint8), strength > _MASKED * strength.max())


def _in_pixels(points: np.ndarray, moved: np.ndarray) -> NDArray[np.float64]:
    """Shifts on the canonical face, in cm with y up, as shifts of the face in the image."""
    mean = canonical_face().points[:, :2] * [1, -1]
    a, b = mean[:, 0] + 1j * mean[:, 1], points[:, 0] + 1j * points[:, 1]
    factor = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean())
    turned = factor * (moved[:, 0] - 1j * moved[:, 1])
    return np.stack([turned.real, turned.imag], axis=1)


def _flow(
    spline: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], middle: np.ndarray, half: float
) -> NDArray[np.float32]:
    """The shift at each pixel, float32 [H, W, 2], which fades to 0 at the ring around the face."""
    height, width = shape[:2]
    step = max(_GRID * 2 * half / 256, 1)
    rows, columns = max(round(height / step), 2), max(round(width / step), 2)
    y, x = np.meshgrid(
        (np.arange(rows) + 0.5) * height / rows - 0.5,
        (np.arange(columns) + 0.5) * width / columns - 0.5,
        indexing="ij",
    )
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    away = np.hypot(*(places - middle).T) / (_AROUND * half)
    inside = away < 1
    values = np.zeros((len(places), 2))
    if inside.any():
        fade = np.clip((1 - away[inside]) / 0.15, 0, 1)[:, None]
        values[inside] = spline(places[inside]) * fade
    coarse = values.reshape(rows, columns, 2).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
