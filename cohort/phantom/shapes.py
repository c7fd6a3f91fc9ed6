"""Shapes of lesions: ovals, leaves, domes and coasts, each a weight in [0, 1] per pixel.

Positions and radii are in image widths.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.phantom.fields import Field, coordinates, displaced, smooth_noise

_BITS = 4  # of sub-pixel precision in OpenCV's drawing


@dataclass(frozen=True)
class Spot:
    """Where a lesion is, and how large.

    Attributes:
        x, y: centre.
        radius: geometric mean of the two half axes.
        stretch: half axis along `angle`, in units of the radius; the other one is its reciprocal.
        angle: direction of the long axis, radians.
        shade: how strongly the lesion is pigmented, in [0.6, 1].
    """

    x: float
    y: float
    radius: float
    stretch: float = 1.0
    angle: float = 0.0
    shade: float = 1.0


def ovals(
    rng: np.random.Generator, spots: Iterable[Spot], size: int, *, edge: float, wobble: float, cells: int = 6
) -> Field:
    """Ovals whose outlines `wobble` smoothly and whose rims are soft.

    Args:
        edge: standard deviation of the rim's blur.
        wobble: standard deviation of the outline's displacement.
        cells: coarseness of the wobble, bumps per image width.
    """
    outlines = []
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for spot in spots:
        long, short = spot.radius * spot.stretch * np.cos(turn), spot.radius / spot.stretch * np.sin(turn)
        outlines.append(_placed(spot, long, short))
    return _filled(rng, list(spots), outlines, size, edge, wobble, cells)


def leaves(
    rng: np.random.Generator, spots: Iterable[Spot], size: int, *, edge: float, wobble: float
) -> Field:
    """Leaves of the mountain ash: round at one end, pointed at the other; `radius` is half the length."""
    outlines = []
    along = np.linspace(-1, 1, 24)
    half = 0.40 * np.sqrt(1 + along) * (1 - along) ** 0.85
    for spot in spots:
        long = spot.radius * np.concatenate([along, along[::-1]])
        short = spot.radius * np.concatenate([half, -half[::-1]])
        outlines.append(_placed(spot, long, short))
    return _filled(rng, list(spots), outlines, size, edge, wobble, 5)


def domes(spots: Iterable[Spot], size: int) -> Field:
    """Height of round papules above the skin, float32 [S, S], image widths: half as high as they are wide."""
    x, y = coordinates(size)
    height = np.zeros((size, size), np.float32)
    for spot in spots:
        rows, columns = (_window(centre, 1.3 * spot.radius, size) for centre in (spot.y, spot.x))
        dx = (x[rows, columns] - np.float32(spot.x)) / np.float32(spot.radius)
        dy = (y[rows, columns] - np.float32(spot.y)) / np.float32(spot.radius)
        bump = np.clip(1 - (dx * dx + dy * dy) / 1.6, 0, None) ** 2
        height[rows, columns] = np.maximum(height[rows, columns], np.float32(0.55 * spot.radius) * bump)
    return height


def _placed(spot: Spot, long: NDArray[np.float64], short: NDArray[np.float64]) -> NDArray[np.float64]:
    """An outline in coordinates of the spot => [N, 2] in image widths."""
    cosine, sine = np.cos(spot.angle), np.sin(spot.angle)
    return np.stack([spot.x + cosine * long - sine * short, spot.y + sine * long + cosine * short], axis=1)


def _filled(
    rng: np.random.Generator,
    spots: Sequence[Spot],
    outlines: Sequence[NDArray[np.float64]],
    size: int,
    edge: float,
    wobble: float,
    cells: int,
) -> Field:
    """The filled outlines, displaced by smooth noise and blurred."""
    canvas = np.zeros((size, size), np.uint8)
    for spot, outline in zip(spots, outlines, strict=True):
        points = np.round(((outline * size) - 0.5) * 2**_BITS).astype(np.int32)
        cv2.fillPoly(canvas, [points], round(255 * spot.shade), cv2.LINE_AA, _BITS)
    field = canvas.astype(np.float32) / np.float32(255)
    dx, dy = (np.float32(wobble) * smooth_noise(rng, cells, size) for _ in range(2))
    return np.asarray(cv2.GaussianBlur(displaced(field, dx, dy), (0, 0), max(edge * size, 0.3)))


def _window(centre: float, radius: float, size: int) -> slice:
    first, last = round((centre - radius) * size), round((centre + radius) * size) + 1
    return slice(max(first, 0), max(min(last, size), 0))
