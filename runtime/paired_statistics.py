"""Two classifiers on the same images: differences with 95% intervals and tests, by patient.

Images of one patient are not independent, so patients are what is resampled, exchanged and counted here.
"""

from typing import NamedTuple

import numpy as np

from morphoscope.runtime.roc import auroc, clustered_variance, placements
from morphoscope.runtime.statistics import Estimate, Z, draw_groups

_REPLICATES = 2000
_EXACT = 12  # up to this many patients with a difference, all exchanges are enumerated
_EXCHANGES = 9999


class Difference(NamedTuple):
    """A paired difference (second - first) with its 95% interval, and the p value of no difference."""

    estimate: Estimate
    p: float


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray,
    classes: np.ndarray | None = None,
    seed: int = 0,
) -> Difference:
    """Difference of two classifiers' mean scores, `second` - `first`.

    The interval is the wider of two at each end. One is the percentile interval of 2000 bootstrap replicates
    that draw patients with replacement within every class; it has no width where both classifiers score the
    same everywhere, which a few patients do not prove. The other one, for scores in [0, 1], adds half a
    patient who favours either classifier (Bonett and Price 2012, with patients as units), shared among the
    classes.

    The p value is two-sided, from exchanging the two classifiers within whole patients: all exchanges for up
    to 12 patients with a difference, else 9999 random ones. With one image per patient and scores of 0 and 1
    that is McNemar's exact test.

    Args:
        first, second: score of each classifier for each image, [N], N >= 1.
        groups: patient of each image, [N].
        classes: class of each image, [N]: the mean over images is then taken within every class, and the
            mean over the classes that occur, as in balanced accuracy. None for one mean over all images.
        seed: of the random draws.
    """
    random = np.random.default_rng(seed)
    difference = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    labels = np.zeros(len(difference), np.int64) if classes is None else classes
    present = np.unique(labels)
    values, replicates, centres, variances = [], [], [], []
    for label in present:
        inside = labels == label
        names, owner = np.unique(groups[inside], return_inverse=True)
        counts = np.bincount(owner)
        sums = np.bincount(owner, weights=difference[inside])
        values.append(sums.sum() / counts.sum())
        drawn = draw_groups(len(names), _REPLICATES, random)
        # The replicates of G patients vary less than their mean does, by (G - 1) / G.
        wider = np.sqrt(len(names) / max(len(names) - 1, 1))
        replicates.append(values[-1] + wider * (drawn @ sums / (drawn @ counts) - values[-1]))
        centre, variance = _smoothed(sums / counts, counts, 0.5 / len(present))
        centres.append(centre)
        variances.append(variance)
    value = float(np.mean(values))
    low, high = np.quantile(np.mean(replicates, axis=0), [0.025, 0.975])
    middle, half = float(np.mean(centres)), Z * float(np.sqrt(np.sum(variances))) / len(present)
    limit = 1.0 if all(scores.min() >= 0 and scores.max() <= 1 for scores in (first, second)) else np.inf
    estimate = Estimate(
        value,
        float(max(min(low, middle - half, value), -limit)),
        float(min(max(high, middle + half, value), limit)),
    )
    place = np.searchsorted(present, labels)
    weights = difference / np.bincount(place)[place]
    by_patient = np.bincount(np.unique(groups, return_inverse=True)[1], weights=weights)
    return Difference(estimate, _exchange_test(by_patient, random))


def _smoothed(means: np.ndarray, counts: np.ndarray, added: float) -> tuple[float, float]:
    """Mean of the patients' differences [G] in [-1, 1], drawn towards 0, and its variance.

    Patients count by their images, and the effective number of patients is Kish's, (Σw)² / Σw².
    """
    patients = counts.sum() ** 2 / (counts**2).sum()
    shares = counts / counts.sum()
    better, worse = (shares @ np.maximum(sign * means, 0) * patients + added for sign in (1, -1))
    total = patients + 2 * added
    centre = (better - worse) / total
    spread = shares @ means**2 * patients + 2 * added
    return float(centre), float((spread / total - centre**2) / total)


def _exchange_test(by_patient: np.ndarray, random: np.random.Generator) -> float:
    """Two-sided p value of a sum of contributions [G] whose signs might have been any."""
    parts = by_patient[np.abs(by_patient) > 1e-12]
    if not len(parts):
        return 1.0
    observed = abs(parts.sum()) - 1e-9
    if len(parts) <= _EXACT:
        signs = 1 - 2 * ((np.arange(2 ** len(parts))[:, None] >> np.arange(len(parts))) & 1)
        return float(np.mean(np.abs(signs @ parts) >= observed))
    signs = random.choice([-1.0, 1.0], size=(_EXCHANGES, len(parts)))
    return float((1 + np.sum(np.abs(signs @ parts) >= observed)) / (1 + _EXCHANGES))


def auroc_difference(
    first: np.ndarray, second: np.ndarray, positive: np.ndarray, groups: np.ndarray
) -> Estimate | None:
    """Difference of the areas under two ROC curves, `second` - `first`, with a 95% interval by patient.

    DeLong's (1988) in Obuchowski's (1997) form for clusters. Where it has no width, since both classifiers
    order all images alike, each area's own interval gives one, as if the two were independent
    (square-and-add, Zou and Donner 2008), which is too wide rather than too narrow.

    Args:
        first, second: scores of the two classifiers, [N].
        positive: bool [N]: which images have the condition.
        groups: patient of each image, [N].

    Returns:
        None if there is no positive or no negative image.
    """
    if positive.all() or not positive.any():
        return None
    areas = [auroc(scores, positive, groups) for scores in (first, second)]
    value = areas[1].value - areas[0].value
    placed = placements(second, positive) - placements(first, positive)
    half = Z * np.sqrt(clustered_variance(placed, positive, groups).value)
    if half > 1e-9:
        return Estimate(value, float(max(value - half, -1)), float(min(value + half, 1)))
    a, b = areas
    low = value - np.hypot(b.value - b.low, a.high - a.value)
    high = value + np.hypot(b.high - b.value, a.value - a.low)
    return Estimate(value, float(max(low, -1)), float(min(high, 1)))


def holm(p_values: list[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979), in the order given."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
