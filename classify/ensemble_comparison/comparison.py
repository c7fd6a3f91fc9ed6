"""Which of several ensembles is better, on images that none of them has seen."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from morphoscope.classify.certainty.prior import shift
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation import Evaluation, evaluate
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.commands import Comparing
from morphoscope.runtime.paired_statistics import Difference, auroc_difference, holm, paired_difference
from morphoscope.runtime.statistics import Estimate, format_p

_SAME_PRIOR = 0.01  # greatest log ratio of two frequencies that count as the same
_LEAST_PROBABILITY = 1e-7  # of the true condition, so that one certain mistake does not make a mean infinite


@dataclass(frozen=True)
class ConditionComparison:
    """Two ensembles on the images of one condition; differences are `second` - `first`.

    Attributes:
        condition: its name.
        images, patients: how many there are.
        recall: difference of the recalls, in [-1, 1].
        adjusted_p: its p value, adjusted by Holm's method for all conditions of all pairs.
        auroc: difference of the areas under the ROC curves of the condition's probability; None if all
            images have the condition.
    """

    condition: str
    images: int
    patients: int
    recall: Difference
    adjusted_p: float
    auroc: Estimate | None


@dataclass(frozen=True)
class PairComparison:
    """Two ensembles on the same images; differences are `second` - `first`.

    Attributes:
        first, second: their names.
        margin: balanced accuracies whose difference is smaller than this count as equivalent.
        balanced_accuracy, accuracy: differences, in [-1, 1].
        log_likelihood: difference of the mean log probability of the true condition, in nats; larger is
            better.
        adjusted_p: p value of the balanced accuracy, adjusted by Holm's method for the number of pairs.
        only_first, only_second: number of images that only this ensemble predicts correctly.
        conditions: the conditions that occur.
    """

    first: str
    second: str
    margin: float
    balanced_accuracy: Difference
    accuracy: Difference
    log_likelihood: Difference
    adjusted_p: float
    only_first: int
    only_second: int
    conditions: list[ConditionComparison]

    @property
    def equivalent(self) -> bool:
        """Whether the whole 95% interval of the balanced accuracy lies within the margin (TOST at 2.5%)."""
        _, low, high = self.balanced_accuracy.estimate
        return -self.margin < low and high < self.margin

    @property
    def better(self) -> str | None:
        """Name of the ensemble with the higher balanced accuracy; None if no difference is shown."""
        value, low, high = self.balanced_accuracy.estimate
        if self.adjusted_p >= 0.05 or low <= 0 <= high:
            return None
        return self.second if value > 0 else self.first

    @property
    def sentence(self) -> str:
        """What the comparison shows, and what it leaves open."""
        value, low, high = self.balanced_accuracy.estimate
        p = format_p(self.adjusted_p, named=True)
        interval = f"{value:+.3f}, 95% interval {low:+.3f} to {high:+.3f}, {p}"
        if self.better is not None:
            other = self.first if self.better == self.second else self.second
            small = f", though by less than {self.margin:g}" if self.equivalent else ""
            return f"{self.better} is more accurate than {other}{small} (balanced accuracy {interval})."
        if self.equivalent:
            return (
                f"{self.second} and {self.first} are equivalent: their balanced accuracies differ by less "
                f"than {self.margin:g} ({interval})."
            )
        return (
            f"No difference between {self.second} and {self.first} is shown, and no equivalence: these "
            f"images cannot tell (balanced accuracy {interval})."
        )


@dataclass(frozen=True)
class EnsembleComparison:
    """Two or more ensembles on the same images.

    Attributes:
        evaluations: of each ensemble by its name, for the same images in the same order.
        pairs: all pairs, in the order in which the ensembles were given.
    """

    evaluations: dict[str, Evaluation]
    pairs: list[PairComparison]

    @cached_property
    def disagreements(self) -> np.ndarray:
        """Numbers of the images for which not all ensembles predict the same condition, int64 [n]."""
        predicted = np.stack([found.prediction.predicted for found in self.evaluations.values()])
        return np.flatnonzero((predicted != predicted[0]).any(axis=0))


def compare_ensembles(
    ensembles: Mapping[str, Ensemble], cohort: Cohort, settings: Comparing
) -> EnsembleComparison:
    """Compare ensembles on the same images of a cohort.

    Args:
        ensembles: at least two, by the names that the report calls them.

    Raises:
        UserError: fewer than two ensembles, other conditions, probabilities that assume different
            frequencies of the conditions, images that one of them has seen, or ensembles that take different
            samples (pairs and single images, or different views).
    """
    names = list(ensembles)
    if len(names) < 2:
        raise UserError(f"A comparison needs at least two ensembles, not {len(names)}.")
    conditions = ensembles[names[0]].conditions
    for name, ensemble in ensembles.items():
        if set(ensemble.conditions) != set(conditions):
            raise UserError(
                f"{name} knows the conditions {', '.join(ensemble.conditions)}, but {names[0]} knows "
                f"{', '.join(conditions)}. Only ensembles of the same conditions can be compared."
            )
    _require_same_prior(ensembles, conditions, settings.prevalence)
    evaluations = {}
    for name, ensemble in ensembles.items():
        found = evaluate(
            ensemble,
            cohort,
            settings.rows,
            view=settings.view,
            prevalence=settings.prevalence,
            strata=False,
        )
        evaluations[name] = _reordered(found, conditions)
    _require_same_samples(evaluations)
    pairs = [_compare(first, second, evaluations, settings) for first, second in combinations(names, 2)]
    return EnsembleComparison(evaluations, _adjusted(pairs))


def _require_same_prior(
    ensembles: Mapping[str, Ensemble], conditions: list[str], prevalence: str | None
) -> None:
    """Raise UserError unless all probabilities will assume the same frequencies of the conditions."""
    priors = {}
    for name, ensemble in ensembles.items():
        own = ensemble.prior
        if own is None:
            raise UserError(
                f"{name}: it is not known which frequencies of the conditions its probabilities assume, so "
                "they cannot be compared with those of others. Run `morphoscope classify calibrate`, or "
                "train it again."
            )
        prior = own if prevalence is None else ensemble.requested_prior(prevalence)
        priors[name] = prior.reordered([ensemble.conditions.index(condition) for condition in conditions])
    (first, one), *others = priors.items()
    for name, other in others:
        ratio = np.abs(shift(one, other))
        if ratio.max() > _SAME_PRIOR:
            k = int(ratio.argmax())
            raise UserError(
                f"The probabilities of {first} assume {one.name} ({conditions[k]} {one.frequencies[k]:.3f}), "
                f"those of {name} {other.name} ({conditions[k]} {other.frequencies[k]:.3f}). To compare "
                "them, re-express all for the same frequencies: --prevalence uniform, or a table with the "
                "columns condition and prevalence."
            )


def _reordered(found: Evaluation, conditions: list[str]) -> Evaluation:
    """The evaluation with its conditions in another order."""
    order = [found.conditions.index(name) for name in conditions]
    return replace(
        found,
        conditions=conditions,
        truth=np.argsort(order)[found.truth],
        prediction=found.prediction.reordered(conditions),
        cohort_prior=found.cohort_prior and found.cohort_prior.reordered(order),
    )


def _require_same_samples(evaluations: Mapping[str, Evaluation]) -> None:
    (name, first), *others = evaluations.items()
    for other, found in others:
        same_pairs = np.array_equal(found.files, first.files) and (found.partners is None) == (
            first.partners is None
        )
        if not same_pairs:
            raise UserError(
                f"{other} predicts {len(found.files)} {found.facts.samples} and {name} {len(first.files)} "
                f"{first.facts.samples}: they take different views. Give --view focused or panoramic, or "
                "compare ensembles of the same views."
            )


def _compare(
    first: str, second: str, evaluations: Mapping[str, Evaluation], settings: Comparing
) -> PairComparison:
    one, other = evaluations[first], evaluations[second]
    truth, groups, seed = one.truth, one.groups, settings.seed
    right, other_right = (found.prediction.predicted == truth for found in (one, other))
    sure, other_sure = (
        np.log(np.maximum(found.prediction.combined[np.arange(len(truth)), truth], _LEAST_PROBABILITY))
        for found in (one, other)
    )
    conditions = []
    for k in np.unique(truth):
        of_condition = truth == k
        recall = paired_difference(
            right[of_condition], other_right[of_condition], groups[of_condition], seed=seed
        )
        own, others_own = (found.prediction.combined[:, k] for found in (one, other))
        conditions.append(
            ConditionComparison(
                one.conditions[k],
                int(of_condition.sum()),
                len(set(groups[of_condition])),
                recall,
                recall.p,
                auroc_difference(own, others_own, of_condition, groups),
            )
        )
    balanced = paired_difference(right, other_right, groups, truth, seed)
    return PairComparison(
        first,
        second,
        settings.margin,
        balanced,
        paired_difference(right, other_right, groups, seed=seed),
        paired_difference(sure, other_sure, groups, seed=seed),
        balanced.p,
        int((right & ~other_right).sum()),
        int((other_right & ~right).sum()),
        conditions,
    )


def _adjusted(pairs: list[PairComparison]) -> list[PairComparison]:
    """The pairs with p values adjusted for their number, and for that of their conditions."""
    overall = holm([pair.balanced_accuracy.p for pair in pairs])
    single = iter(holm([row.recall.p for pair in pairs for row in pair.conditions]))
    return [
        replace(
            pair,
            adjusted_p=adjusted,
            conditions=[replace(row, adjusted_p=next(single)) for row in pair.conditions],
        )
        for pair, adjusted in zip(pairs, overall, strict=True)
    ]
