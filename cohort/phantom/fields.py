"""Smooth random fields and soft edges, from which phantoms are drawn.

Every field is float32 [S, S]; x grows to the right and y downwards, both from 0 to 1, so that an image looks
the same at every size.
"""

from functools import lru_cache

import cv2
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


def smooth_noise(rng: np.random.Generator, cells: int, size: int, columns: int | None = None) -> Field:
    """Gaussian noise of zero mean and unit variance, with bumps about 1/cells wide: float32 [size, size].

    Args:
        columns: cells from left to right, if their number differs from that from top to bottom.
    """
    across = columns or cells
    coefficients = rng.standard_normal((cells + 3, across + 3), dtype=np.float32)
    # OpenCV's product: numpy's starts BLAS threads, which cost more than these small products.
    nothing = np.empty(0, np.float32)
    rows = cv2.gemm(_spline_basis(cells, size), coefficients, 1 / _SPLINE_SD, nothing, 0)
    return np.asarray(cv2.gemm(rows, _spline_basis(across, size), 1, nothing, 0, flags=cv2.GEMM_2_T))


def fractal_noise(rng: np.random.Generator, cells: int, octaves: int, persistence: float, size: int) -> Field:
    """Sum of `octaves` noises, each twice as fine and `persistence` times as strong as the one before.

    Returns:
        float32 [size, size], of zero mean.
    """
    total = smooth_noise(rng, cells, size)
    for octave in range(1, octaves):
        total += np.float32(persistence**octave) * smooth_noise(rng, cells * 2**octave, size)
    return total


def rotated(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates along and across the direction `angle` (radians), of the shape of x and y."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * x + sine * y, cosine * y - sine * x


def inside(distance: Field, softness: float) -> Field:
    """Weight in [0, 1] that falls smoothly from 1 to 0 as `distance` goes from -softness to +softness."""
    ramp = np.clip(0.5 - distance / np.float32(2 * softness), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def displaced(field: Field, dx: Field, dy: Field) -> Field:
    """`field` read at positions that are displaced by (dx, dy), image widths; float32 [S, S]."""
    size = field.shape[0]
    x, y = coordinates(size)
    half = np.float32(0.5)
    return np.asarray(
        cv2.remap(
            field,
            (x + dx) * size - half,
            (y + dy) * size - half,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


@lru_cache(maxsize=64)
def _spline_basis(cells: int, size: int) -> Field:
    """Uniform cubic B-spline, `cells` intervals on [0, 1]: weights of coefficients, [size, cells + 3]."""
    position = (np.arange(size) + 0.5) / size * cells
    interval = np.floor(position).astype(np.int64)
    t = position - interval
    weights = (
        np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    )
    basis = np.zeros((size, cells + 3), np.float32)
    np.put_along_axis(basis, interval[:, None] + np.arange(4), weights.astype(np.float32), axis=1)
    return basis
