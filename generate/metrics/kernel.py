"""Kernel distance between two sets of features (KID)."""

from typing import NamedTuple

import numpy as np

_SUBSETS = 100
_LARGEST_SUBSET = 1000


class KernelDistance(NamedTuple):
    """Mean and standard deviation (SD) of the unbiased squared MMD over random subsets."""

    mean: float
    sd: float


def kernel_distance(a: np.ndarray, b: np.ndarray, seed: int = 0) -> KernelDistance:
    """Kernel distance from 100 random subsets, computed in float64.

    The kernel is (x·y/D + 1)³ (Bińkowski et al. 2018, "Demystifying MMD GANs", section 4). For two sets from
    the same distribution the expected mean is 0 at any size, so the mean may be negative.

    A subset has half as many images as the smaller set, at most 1000 (as is usual) and at least 2. The
    estimate is unbiased at any size. But a subset of all 100 images would be the same in every draw, and an
    SD of 0 would hide the uncertainty that comes from only 100 images.

    Args:
        a, b: features [Na, D] and [Nb, D], at least 2 rows each.
        seed: of the subsets.
    """
    assert min(len(a), len(b)) >= 2, "an unbiased estimate needs pairs"
    random = np.random.default_rng(seed)
    size = max(2, min(_LARGEST_SUBSET, min(len(a), len(b)) // 2))
    estimates = []
    for _ in range(_SUBSETS):
        part_a = a[random.choice(len(a), size, replace=False)]
        part_b = b[random.choice(len(b), size, replace=False)]
        estimates.append(squared_mmd(part_a, part_b))
    return KernelDistance(float(np.mean(estimates)), float(np.std(estimates)))


def squared_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy (MMD; Gretton et al. 2012, equation 3).

    Args:
        a, b: features [N, D] and [M, D], at least 2 rows each.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    return _mean_of_pairs(a) + _mean_of_pairs(b) - 2 * float(_kernel(a, b).mean())


def _mean_of_pairs(x: np.ndarray) -> float:
    """Mean of the kernel over pairs of different rows of x [N, D]."""
    values = _kernel(x, x)
    return float(values.sum() - np.trace(values)) / (len(x) * (len(x) - 1))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return kernel_of(x @ y.T, x.shape[1])


def kernel_of(products: np.ndarray, dimensions: int) -> np.ndarray:
    """The kernel's values for the scalar products of features with D dimensions."""
    base = products / dimensions + 1
    return base * base * base  # numpy's power of 3 is many times slower
