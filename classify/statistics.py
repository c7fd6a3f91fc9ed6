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
    """Mean recall over the classes that occur, with a percentile interval of a stratified bootstrap.

    Each of 2000 replicates draws, within every class, as many groups (patients) as there are, with
    replacement: images of one patient are not independent, and so are drawn together.

    Args:
        truth, predicted: class numbers [N].
        groups: name of each image's group [N].
        seed: of the draws; the same seed gives the same interval.
    """
    random = np.random.default_rng(seed)
    recalls, replicates = [], []
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
    low, high = np.quantile(np.mean(replicates, axis=0), [0.025, 0.975])
    return Estimate(float(np.mean(recalls)), float(low), float(high))
