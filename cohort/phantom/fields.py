"""Smooth random fields and shapes on the unit square, from which phantoms are drawn.

Every field is float32 [S, S]; x grows to the right and y downwards, both from 0 to 1, so that an image looks
the same at every size.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

# Standard deviation of a tensor-product cubic B-spline with independent unit-variance coefficients.
_SPLINE_SD = 0.479


@lru_cache(maxsize=8)
def coordinates(size: int) -> tuple[Field, Field]:
    """Pixel centres (x, y) of a size x size raster, each float32 [S, S] in (0, 1)."""
    centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
    x, y = np.meshgrid(centres, centres)
    return x, y


def smooth_noise(rng: np.random.Generator, cells: int, size: int) -> Field:
    """Gaussian noise of zero mean and unit variance, with bumps about 1/cells wide: float32 [size, size]."""
    field = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    columns, weights = _spline_basis(cells, size)
    # Four coefficients per sample along either axis; a dense product would start BLAS threads needlessly.
    for _ in range(2):
        field = np.einsum("sk,skc->cs", weights, field[columns], order="C")
    return field / np.float32(_SPLINE_SD)


def fractal_noise(rng: np.random.Generator, cells: int, octaves: int, persistence: float, size: int) -> Field:
    """Sum of `octaves` noises, each twice as fine and `persistence` times as strong as the one before.

    Returns:
        float32 [size, size], of zero mean.
    """
    total = smooth_noise(rng, cells, size)
    for octave in range(1, octaves):
        total = total + np.float32(persistence**octave) * smooth_noise(rng, cells * 2**octave, size)
    return total


def warped(rng: np.random.Generator, cells: int, amount: float, size: int) -> tuple[Field, Field]:
    """Coordinates (x, y), each [size, size], displaced by smooth noise of SD `amount` (image widths)."""
    x, y = coordinates(size)
    return (
        x + np.float32(amount) * smooth_noise(rng, cells, size),
        y + np.float32(amount) * smooth_noise(rng, cells, size),
    )


def rotated(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates along and across the direction `angle` (radians), of the shape of x and y."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * x + sine * y, cosine * y - sine * x


def inside(distance: Field, softness: float) -> Field:
    """Weight in [0, 1] that falls smoothly from 1 to 0 as `distance` goes from -softness to +softness."""
    ramp = np.clip(0.5 - distance / np.float32(2 * softness), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def scatter(
    rng: np.random.Generator, radii: NDArray[np.float64], gap: float, margin: float
) -> list[tuple[float, float, float]]:
    """Place discs of the given radii, largest first, without overlap.

    Args:
        radii: [N], image widths.
        gap: smallest distance between two rims, image widths.
        margin: smallest distance of a centre from the image's border, image widths.

    Returns:
        (x, y, radius) of each disc; one that finds no room in 30 tries is left out.
    """
    placed: list[tuple[float, float, float]] = []
    for radius in sorted(radii.tolist(), reverse=True):
        for cx, cy in rng.uniform(margin, 1 - margin, (30, 2)).tolist():
            if all(np.hypot(cx - px, cy - py) > radius + other + gap for px, py, other in placed):
                placed.append((cx, cy, radius))
                break
    return placed


@lru_cache(maxsize=32)
def _spline_basis(cells: int, size: int) -> tuple[NDArray[np.int64], Field]:
    """Uniform cubic B-spline, `cells` intervals on [0, 1]: (coefficient numbers, weights), each [size, 4]."""
    position = (np.arange(size) + 0.5) / size * cells
    interval = np.floor(position).astype(np.int64)
    t = position - interval
    weights = (
        np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    )
    return interval[:, None] + np.arange(4), weights.astype(np.float32)
