"""Small-sample statistics of classification, each with its 95% interval."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, bootstrap
from scipy.stats import t as student

_REPLICATES = 2000
Z = 1.959964  # 97.5th percentile of the standard normal distribution, for a two-sided 95% interval
_PRIOR_CORRELATION, _PRIOR_PATIENTS = 0.5, 8.0  # see `proportion_interval`


class Estimate(NamedTuple):
    """A value with the two ends of its 95% interval, all three in the value's own unit."""

    value: float
    low: float
    high: float


def proportion(successes: int, total: int) -> Estimate:
    """A proportion of independent cases, in [0, 1], with its Wilson score interval (Wilson 1927).

    The interval stays sensible near 0 and 1 and for few cases. For several images of one patient use
    `proportion_by_group`.

    Args:
        successes: 0 to `total`.
        total: at least 1.
    """
    interval = binomtest(successes, total).proportion_ci(0.95, method="wilson")
    return Estimate(successes / total, float(interval.low), float(interval.high))


def proportion_by_group(successes: np.ndarray, groups: np.ndarray) -> Estimate:
    """A proportion in [0, 1] of images, with a 95% interval that allows for several images of one patient.

    Args:
        successes: bool [N], N >= 1.
        groups: name of each image's group (patient), [N].
    """
    assert len(successes) == len(groups) > 0
    _, owner = np.unique(groups, return_inverse=True)
    hits, images = np.bincount(owner, weights=successes), np.bincount(owner)
    low, high = proportion_interval(hits, images)
    return Estimate(float(hits.sum() / images.sum()), float(low), float(high))


def proportion_interval(hits: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95% interval of a proportion of images that are grouped by patient.

    Agresti and Coull's interval (1998), which is Wilson's but wider near 0 and 1, for the effective number
    of images, N / (1 + (m - 1) r). This design effect is that of Kish (1965): m is the mean number of images
    of an image's patient, and r the correlation of two images of one patient (the intraclass correlation from
    an analysis of variance). Where few patients have a minority outcome, r can hardly be estimated, so it is
    shrunk towards 0.5 with the weight of eight patients. In simulations the interval contains the truth in at
    least 93% of samples with 20 to 200 patients, 1 to 50 images each, and r from 0 to 0.6
    (`tests/runtime/test_interval_coverage.py`).

    Args:
        hits: successes of each of G patients, [..., G].
        images: images of each patient, at least 1, [..., G].

    Returns:
        (low, high), float64 [...] in [0, 1].
    """
    value, effective = hits.sum(axis=-1) / images.sum(axis=-1), effective_images(hits, images)
    centre = (value * effective + Z**2 / 2) / (effective + Z**2)
    half = Z * np.sqrt(centre * (1 - centre) / (effective + Z**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def effective_images(sums: np.ndarray, images: np.ndarray, squares: np.ndarray | None = None) -> np.ndarray:
    """The number of independent images that would say as much about a mean, see `proportion_interval`.

    Args:
        sums: sum of each patient's values, which are in [0, 1]; of hits and misses the hits, [..., G].
        images: images of each patient, at least 1, [..., G].
        squares: sum of the squares of each patient's values, [..., G]; if None, all values are 0 or 1.

    Returns:
        float64 [...], up to the number of images.
    """
    patients, total = images.shape[-1], images.sum(axis=-1)
    value = sums.sum(axis=-1) / total
    size = (images**2).sum(axis=-1) / total  # m
    shown = patients * 4 * value * (1 - value)  # in patients: nothing if all images have the same outcome
    prior = _PRIOR_CORRELATION * _PRIOR_PATIENTS
    found = _intraclass_correlation(sums, images, sums if squares is None else squares)
    correlation = (shown * found + prior) / (shown + _PRIOR_PATIENTS)
    effective: np.ndarray = total / (1 + (size - 1) * correlation)
    return effective


def _intraclass_correlation(sums: np.ndarray, images: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Correlation of two images of one patient, limited to [0, 1]: arguments as in `effective_images`."""
    patients, total = images.shape[-1], images.sum(axis=-1)
    own = sums / images
    value = (sums.sum(axis=-1) / total)[..., None]
    between = (images * (own - value) ** 2).sum(axis=-1) / max(patients - 1, 1)
    within = (squares - images * own**2).sum(axis=-1) / np.maximum(total - patients, 1)
    size = (total - (images**2).sum(axis=-1) / total) / max(patients - 1, 1)
    variance = between + (size - 1) * within
    return np.clip((between - within) / np.where(variance > 0, variance, 1), 0, 1)


def mean_with_interval(values: np.ndarray) -> Estimate | None:
    """The mean of independent values [N] with a percentile bootstrap interval; None for N < 2.

    The interval comes from 2000 replicates with a fixed seed, so that the same values give the same interval.
    """
    if len(values) < 2:
        return None
    found = bootstrap((values,), np.mean, n_resamples=_REPLICATES, method="percentile", rng=0)
    interval = found.confidence_interval
    return Estimate(float(values.mean()), float(interval.low), float(interval.high))


def format_estimate(estimate: Estimate | None, digits: int = 3, named: bool = False) -> str:
    """Format an estimate as "0.412 (0.351 to 0.470)", or as a dash if there is none.

    Args:
        digits: decimal places.
        named: write "0.412 (95% interval 0.351 to 0.470)".
    """
    if estimate is None:
        return "–"
    value, low, high = (f"{number:.{digits}f}" for number in estimate)
    return f"{value} ({'95% interval ' if named else ''}{low} to {high})"


def format_p(p: float, named: bool = False) -> str:
    """Format a p value with three decimal places, or as "< 0.001"; `named`: as "p = 0.012" or "p < 0.001"."""
    if p < 0.001:
        return "p < 0.001" if named else "< 0.001"
    return f"p = {p:.3f}" if named else f"{p:.3f}"


def confusion_counts(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrix, int64 [K, K]: row = true class, column = predicted class.

    Args:
        truth, predicted: class numbers [N], 0 to K - 1.
        classes: K.
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def draw_groups(groups: int, replicates: int, random: np.random.Generator) -> np.ndarray:
    """How often each group is drawn when as many are drawn with replacement: int64 [replicates, groups]."""
    return random.multinomial(groups, np.full(groups, 1 / groups), size=replicates)


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> Estimate:
    """Mean recall in [0, 1] over the classes that occur in `truth`, with a 95% interval by patient.

    Args:
        truth, predicted: class numbers [N], N >= 1.
        groups: name of each image's group (patient), [N]; see `mean_proportion_interval`.
    """
    hits, images = [], []
    for label in np.unique(truth):
        of_class = truth == label
        _, owner = np.unique(groups[of_class], return_inverse=True)
        hits.append(np.bincount(owner, weights=predicted[of_class] == label))
        images.append(np.bincount(owner))
    value = float(np.mean([own.sum() / every.sum() for own, every in zip(hits, images, strict=True)]))
    low, high = mean_proportion_interval(hits, images)
    return Estimate(value, min(float(low), value), max(float(high), value))


def mean_proportion_interval(
    hits: Sequence[np.ndarray], images: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The 95% interval of the mean of several classes' proportions of images, which are grouped by patient.

    Wilson's, for the number of independent images whose proportion would vary as the mean does, and with a t
    quantile. The variance of the mean is the sum of the classes', p(1 - p) / n with the effective number of
    images n (see `effective_images`) and half an image added to either outcome, so that a class without
    mistakes is not certain. The degrees of freedom are Satterthwaite's (1946) for this sum. Each class
    contributes Kish's effective number of patients: few, where few patients or one with many images decide.
    In simulations the interval contains the truth in at least 93% of samples with 20 to 200 patients in three
    or seven classes, 1 to 50 images each, and correlations from 0 to 0.6
    (`tests/runtime/test_interval_coverage.py`).

    Args:
        hits, images: of each of K classes, as for `proportion_interval`; [..., G], G may differ.

    Returns:
        (low, high), float64 [...] in [0, 1].
    """
    values, smoothed, variances, freedoms = [], [], [], []
    for own, every in zip(hits, images, strict=True):
        total, effective = every.sum(axis=-1), effective_images(own, every)
        values.append(own.sum(axis=-1) / total)
        smoothed.append((values[-1] * effective + 0.5) / (effective + 1))
        variances.append(smoothed[-1] * (1 - smoothed[-1]) / effective)
        freedoms.append(total**2 / (every**2).sum(axis=-1))
    value, centre, variance = np.mean(values, axis=0), np.mean(smoothed, axis=0), np.sum(variances, axis=0)
    freedom = variance**2 / sum(one**2 / own for one, own in zip(variances, freedoms, strict=True))
    equivalent = centre * (1 - centre) / (variance / len(values) ** 2)  # number of images
    t2 = student.ppf(0.975, freedom) ** 2
    middle = (value * equivalent + t2 / 2) / (equivalent + t2)
    half = np.sqrt(t2 * (equivalent * value * (1 - value) + t2 / 4)) / (equivalent + t2)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
