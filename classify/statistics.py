"""Small-sample statistics of classification, each with its 95% interval."""

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

_REPLICATES = 2000


class Estimate(NamedTuple):
    """A value with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def proportion(successes: int, total: int) -> Estimate:
    """A share with its Wilson score interval (Wilson 1927), sensible near 0 and 1 and for few cases."""
    interval = binomtest(successes, total).proportion_ci(0.95, method="wilson")
    return Estimate(successes / total, float(interval.low), float(interval.high))


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
