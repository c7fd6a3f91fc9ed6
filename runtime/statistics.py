"""Small-sample statistics of classification, each with its 95% interval."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binomtest, bootstrap, mannwhitneyu

_REPLICATES = 2000
_Z = 1.959964  # of 95%


class Estimate(NamedTuple):
    """A value with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def proportion(successes: int, total: int) -> Estimate:
    """A share with its Wilson score interval (Wilson 1927), sensible near 0 and 1 and for few cases."""
    interval = binomtest(successes, total).proportion_ci(0.95, method="wilson")
    return Estimate(successes / total, float(interval.low), float(interval.high))


def mean(values: np.ndarray) -> Estimate | None:
    """Mean with a percentile bootstrap interval, the same for the same values; None for fewer than two."""
    if len(values) < 2:
        return None
    found = bootstrap((values,), np.mean, n_resamples=_REPLICATES, method="percentile", rng=0)
    interval = found.confidence_interval
    return Estimate(float(values.mean()), float(interval.low), float(interval.high))


def with_interval(estimate: Estimate | None, digits: int = 3, named: bool = False) -> str:
    """ "0.412 (0.351 to 0.470)", or named "0.412 (95% interval 0.351 to 0.470)"; a dash if there is none."""
    if estimate is None:
        return "–"
    value, low, high = (f"{number:.{digits}f}" for number in estimate)
    return f"{value} ({'95% interval ' if named else ''}{low} to {high})"


def confusion_counts(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 [K, K]: row = true class, column = predicted class."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def balanced_accuracy(
    truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray, seed: int = 0
) -> Estimate:
    """Mean recall over the classes that occur, with the wider of two 95% intervals at either end.

    One is the percentile interval of a stratified bootstrap: each of 2000 replicates draws, within every
    class, as many groups (patients) as there are, with replacement, since images of one patient are not
    independent. It has no width where a class is all right or all wrong, which a few images do not prove.
    The other does not share this fault: the posterior of the mean recall (Brodersen et al. 2010, with
    Jeffreys' prior and each patient counted once).

    Args:
        truth, predicted: class numbers [N].
        groups: name of each image's group [N].
        seed: of the draws; the same seed gives the same interval.
    """
    random = np.random.default_rng(seed)
    recalls, replicates, posterior = [], [], []
    for label in np.unique(truth):
        here = truth == label
        names, owner = np.unique(groups[here], return_inverse=True)
        totals = np.bincount(owner)
        hits = np.bincount(owner, weights=predicted[here] == label)
        recalls.append(hits.sum() / totals.sum())
        drawn = random.multinomial(
            len(names), np.full(len(names), 1 / len(names)), size=_REPLICATES
        )  # [R, groups]
        replicates.append(drawn @ hits / (drawn @ totals))
        right = recalls[-1] * len(names)
        posterior.append(random.beta(right + 0.5, len(names) - right + 0.5, _REPLICATES))
    ends = [np.quantile(np.mean(draws, axis=0), [0.025, 0.975]) for draws in (replicates, posterior)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    value = float(np.mean(recalls))
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def auroc(low: np.ndarray, high: np.ndarray) -> Estimate:
    """Probability that a score of `high` exceeds one of `low`, ties half: the area under the ROC curve.

    The interval is at either end the wider of DeLong's (1988), which follows the scores themselves but has no
    width where all pairs are in order, and Newcombe's (2006, method 5), which a perfect score does not fool.

    Args:
        low, high: scores of images [M] and [N], at least one each, as if independent.
    """
    pairs = len(low) * len(high)
    value = float(mannwhitneyu(high, low).statistic / pairs)
    ends = [_delong(low, high, value), _newcombe(len(low), len(high), value)]
    low_end, high_end = min(end[0] for end in ends), max(end[1] for end in ends)
    return Estimate(value, float(max(low_end, 0)), float(min(high_end, 1)))


def _delong(low: np.ndarray, high: np.ndarray, value: float) -> tuple[float, float]:
    """From the variance of each score's share of pairs in order."""
    if min(len(low), len(high)) < 2:
        return value, value
    of_high = _share_below(low, high)
    of_low = 1 - _share_below(high, low)
    deviation = np.sqrt(of_high.var(ddof=1) / len(high) + of_low.var(ddof=1) / len(low))
    return value - _Z * deviation, value + _Z * deviation


def _share_below(scores: np.ndarray, than: np.ndarray) -> np.ndarray:
    """Share of `scores` below each of `than`, ties half."""
    ordered = np.sort(scores)
    return (np.searchsorted(ordered, than) + np.searchsorted(ordered, than, side="right")) / 2 / len(ordered)


def _newcombe(low: int, high: int, value: float) -> tuple[float, float]:
    """The areas from which `value` is just 1.96 of their own standard errors away."""
    mean = (low + high) / 2 - 1

    def excess(area: float) -> float:
        variance = area * (1 - area) * (1 + mean * (1 - area) / (2 - area) + mean * area / (1 + area))
        return (value - area) ** 2 - _Z**2 * variance / (low * high)

    inside = min(max(value, 1e-9), 1 - 1e-9)  # at 0 and 1 there is no variance, and the value itself a root
    return (
        float(brentq(excess, 0.0, inside)) if value > 0 else 0.0,
        float(brentq(excess, inside, 1.0)) if value < 1 else 1.0,
    )
