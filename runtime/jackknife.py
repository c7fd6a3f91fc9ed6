"""Intervals for statistics that depend on which images are neighbours, by leaving out blocks of patients.

A bootstrap draws patients repeatedly, and a repeated image is its own nearest neighbour: for such statistics
it is inconsistent (Abadie and Imbens 2008, "On the Failure of the Bootstrap for Matching Estimators").
Leaving patients out repeats none. The variance that it finds is on average at least that of the statistic
(Efron and Stein 1981, "The Jackknife Estimate of Variance"), whatever the statistic is.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from morphoscope.runtime.statistics import Estimate

_BLOCKS = 20  # per sample, so that the cost does not grow with the number of patients


class Jackknife(NamedTuple):
    """K statistics with their variances.

    Attributes:
        values, variances: float64 [K].
        quantile: of Student's t for a two-sided 95% interval, with the fewest blocks of a sample less one as
            the degrees of freedom.
    """

    values: np.ndarray
    variances: np.ndarray
    quantile: float


def jackknife(
    statistics: Callable[[np.ndarray], np.ndarray],
    owners: np.ndarray,
    samples: np.ndarray,
    strata: np.ndarray,
    seed: int = 0,
) -> Jackknife:
    """The variance of statistics of independent samples, each of independent owners of images.

    Up to 20 blocks of owners are left out of each sample in turn. The variances that come from each sample
    add up.

    Args:
        statistics: which of T images to keep, bool [T] => the K values, float64 [K].
        owners: patient of each image [T]; of generated images, which are independent, the image itself.
        samples: the sample of each image [T], e.g. whether it is real. Each has at least 2 owners.
        strata: condition of each image [T]: every block has about the same proportions of them.
        seed: of the blocks.
    """
    random = np.random.default_rng(seed)
    values = statistics(np.ones(len(owners), bool))
    variances, fewest = np.zeros(len(values)), _BLOCKS
    for sample in np.unique(samples):
        inside = samples == sample
        block = np.full(len(owners), -1)
        block[inside] = _blocks(owners[inside], strata[inside], random)
        count = int(block.max()) + 1
        assert count >= 2, "a variance needs two owners"
        left = np.stack([statistics(block != number) for number in range(count)])
        variances += (count - 1) / count * np.square(left - left.mean(axis=0)).sum(axis=0)
        fewest = min(fewest, count)
    return Jackknife(values, variances, float(t.ppf(0.975, fewest - 1)))


def _blocks(owners: np.ndarray, strata: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The number of each image's block; an owner with several strata belongs to the first of them."""
    _, first, owner = np.unique(owners, return_index=True, return_inverse=True)
    order = np.lexsort((random.permutation(len(first)), strata[first]))
    number = np.empty(len(first), np.int64)
    number[order] = np.arange(len(first)) % _BLOCKS
    return number[owner]


def of_proportion(value: float, variance: float, cases: float, quantile: float) -> Estimate:
    """A value in [0, 1] with its 95% interval, at each end the wider of two.

    One is the normal interval. It has no width where leaving out any block changes nothing, as near 0 and 1.
    The other is Wilson's (1927), as if the value were a proportion of this number of independent cases.
    """
    square, half = quantile**2, quantile * math.sqrt(variance)
    centre = (value * cases + square / 2) / (cases + square)
    wilson = quantile / (cases + square) * math.sqrt(value * (1 - value) * cases + square / 4)
    low, high = min(value - half, centre - wilson), max(value + half, centre + wilson)
    # Rounding must not put an end beyond the value.
    return Estimate(value, max(min(low, value), 0.0), min(max(high, value), 1.0))


def of_positive(value: float, variance: float, quantile: float) -> Estimate:
    """A value that is never negative, such as a mean distance or a ratio, with its 95% interval.

    It is the normal interval of the logarithm, by the delta method; but the upper end is at most twice as far
    from the value as that of the value's own normal interval, since a few events have a large logarithm.
    """
    if value == 0:
        return Estimate(0.0, 0.0, 0.0)
    half = quantile * math.sqrt(variance)
    ratio = half / value
    high = value + 2 * half if ratio > 2 else min(value * math.exp(ratio), value + 2 * half)
    return Estimate(value, value * math.exp(-ratio), high)


def of_squared_distance(value: float, variance: float, quantile: float) -> Estimate:
    """An unbiased estimate of a squared distance, which may be negative, with its 95% interval.

    It varies the more, the larger it is, because the standard error of its root hardly changes. The upper end
    is that of an interval of the root, squared; below one standard error, the root of the latter is used.
    """
    error = math.sqrt(variance)
    half = quantile * error
    skew = half**2 / (4 * max(value, error)) if error > 0 else 0.0
    return Estimate(value, value - half, value + half + skew)
