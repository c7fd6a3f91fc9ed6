"""The comparisons of a study: each arm with the real images, overall, by condition, and in calibration."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from morphoscope.apps.study.collect import FoldPredictions, Predictions, Shots
from morphoscope.apps.study.strata import StratumResult, compare_strata
from morphoscope.configs.study import REFERENCE, Study
from morphoscope.runtime.calibration_error import calibration_error
from morphoscope.runtime.nested_statistics import Components, FoldScores, NestedDifference, nested_difference
from morphoscope.runtime.paired_statistics import auroc_difference, holm, paired_difference
from morphoscope.runtime.statistics import Estimate, proportion_by_group

_LEVEL = 0.05


class Descriptive(NamedTuple):
    """Companions of a comparison: of one pair of classifiers, that of the first seeds, over all folds.

    Attributes:
        mcnemar_p: of equal accuracy, from exchanges of the two classifiers within whole patients.
        auroc: mean over conditions of the difference of areas under the ROC curve (DeLong), without interval.
    """

    mcnemar_p: float
    auroc: float


@dataclass(frozen=True)
class Comparison:
    """An arm against the real images, for a number of shots.

    Attributes:
        folds: number of outer folds in which all cells of both have finished.
        balanced_accuracy: the planned comparison.
        adjusted_p: its p value, by Holm's method for the number of planned comparisons.
        equivalence_p: of a difference of at least the margin, likewise adjusted.
        conditions: difference of recall by condition.
        log_likelihood, brier: differences of the scores of the probabilities.
    """

    arm: str
    shots: Shots
    margin: float
    folds: int
    balanced_accuracy: NestedDifference
    adjusted_p: float
    equivalence_p: float
    conditions: dict[str, NestedDifference]
    log_likelihood: NestedDifference
    brier: NestedDifference
    descriptive: Descriptive

    @property
    def verdict(self) -> str:
        """better, worse, equivalent or open; a difference that is certain but too small is equivalent."""
        if self.equivalence_p < _LEVEL:
            return "equivalent"
        if self.adjusted_p < _LEVEL:
            return "better" if self.balanced_accuracy.estimate.value > 0 else "worse"
        return "open"


@dataclass(frozen=True)
class ArmResult:
    """An arm by itself, for a number of shots.

    Attributes:
        balanced_accuracy: mean over folds and seeds, with its interval.
        recalls: by condition: of the classifiers with the first seeds, with Wilson's interval by patient.
        calibration_error: of the classifiers with the first seeds, over all folds.
        log_loss, brier: means over all classifiers.
    """

    arm: str
    shots: Shots
    balanced_accuracy: Estimate
    recalls: dict[str, Estimate]
    calibration_error: Estimate
    log_loss: float
    brier: float


@dataclass(frozen=True)
class Analysis:
    """The results of a study.

    Attributes:
        comparisons: every planned one of which at least one fold is complete.
        arms: every arm, likewise.
        strata: the arms by age, sex and skin tone, at the largest number of shots.
        components: variances of the planned comparisons at the largest number of shots, averaged over arms.
        images: mean number of images per test.
    """

    comparisons: list[Comparison]
    arms: list[ArmResult]
    strata: list[StratumResult]
    components: Components | None
    images: float


def analyse(study: Study, predictions: Predictions, rows: pd.DataFrame) -> Analysis:
    """Compare every arm with the real images.

    Args:
        study: its margin and arms were chosen before.
        predictions: of all finished cells.
        rows: of the cohort's manifest, from which strata come.
    """
    arms = [
        _arm(arm, shots, list(folds.values()), predictions)
        for (arm, shots), folds in predictions.folds.items()
    ]
    comparisons = [
        _comparison(arm, shots, study, predictions)
        for shots in study.shots
        for arm in study.arms
        if arm != REFERENCE and predictions.pairs(arm, REFERENCE, shots)
    ]
    comparisons = _adjusted(comparisons)
    largest = [one for one in comparisons if one.shots == study.shots[-1]]
    parts = [one.balanced_accuracy.components for one in largest]
    names = Components.__dataclass_fields__
    mean = (
        Components(*(float(np.mean([getattr(part, name) for part in parts])) for name in names))
        if parts
        else None
    )
    sizes = [len(fold.truth) for folds in predictions.folds.values() for fold in folds.values()]
    strata = compare_strata(study, predictions, rows)
    return Analysis(comparisons, arms, strata, mean, float(np.mean(sizes)) if sizes else 0.0)


def _comparison(arm: str, shots: Shots, study: Study, predictions: Predictions) -> Comparison:
    pairs = predictions.pairs(arm, REFERENCE, shots)
    correct = nested_difference([_scores(pair, "correct") for pair in pairs], bound=1)
    conditions = {}
    for number, name in enumerate(predictions.conditions):
        own = [_scores(pair, "correct", number) for pair in pairs]
        if all(len(fold.groups) for fold in own):
            conditions[name] = nested_difference(own, bound=1)
    return Comparison(
        arm,
        shots,
        study.margin,
        len(pairs),
        correct,
        correct.p,
        correct.equivalence_p(study.margin),
        conditions,
        nested_difference([_scores(pair, "log_likelihood") for pair in pairs]),
        nested_difference([_scores(pair, "brier") for pair in pairs]),
        _descriptive(pairs, study.seed),
    )


def _scores(
    pair: tuple[FoldPredictions, FoldPredictions], score: str, condition: int | None = None
) -> FoldScores:
    """The differences of a fold; with a condition, those of its images alone."""
    first, second = pair
    chosen = np.ones(len(first.truth), bool) if condition is None else first.truth == condition
    # The reference has no generators, and so the same scores beside each of them.
    difference = getattr(second, score) - getattr(first, score)
    return FoldScores(difference[..., chosen], first.groups[chosen], first.truth[chosen])


def _descriptive(pairs: list[tuple[FoldPredictions, FoldPredictions]], seed: int) -> Descriptive:
    groups, truth = (
        np.concatenate([getattr(first, name) for first, _ in pairs]) for name in ("groups", "truth")
    )
    hits = [np.concatenate([pair[side].correct[0, 0] for pair in pairs]) for side in (0, 1)]
    shown = [np.concatenate([pair[side].probabilities[0, 0] for pair in pairs]) for side in (0, 1)]
    areas = [
        auroc_difference(shown[0][:, k], shown[1][:, k], truth == k, groups) for k in range(shown[0].shape[1])
    ]
    known = [area.value for area in areas if area is not None]
    p = paired_difference(hits[0], hits[1], groups, seed=seed).p
    return Descriptive(p, float(np.mean(known)) if known else float("nan"))


def _arm(arm: str, shots: Shots, folds: list[FoldPredictions], predictions: Predictions) -> ArmResult:
    scores = [FoldScores(fold.correct, fold.groups, fold.truth) for fold in folds]
    groups, truth = (np.concatenate([getattr(fold, name) for fold in folds]) for name in ("groups", "truth"))
    first = np.concatenate([fold.probabilities[0, 0] for fold in folds])
    hits = first.argmax(axis=1) == truth
    found = nested_difference(scores, bound=1).estimate
    recalls = {
        name: proportion_by_group(hits[truth == k], groups[truth == k])
        for k, name in enumerate(predictions.conditions)
        if (truth == k).any()
    }
    return ArmResult(
        arm,
        shots,
        Estimate(found.value, max(found.low, 0.0), min(found.high, 1.0)),
        recalls,
        calibration_error(first, truth, groups).estimate,
        float(-np.mean([fold.log_likelihood.mean() for fold in folds])),
        float(np.mean([fold.brier.mean() for fold in folds])),
    )


def _adjusted(comparisons: list[Comparison]) -> list[Comparison]:
    """With p values for the number of comparisons; those of equivalence are a family of their own."""
    differences = holm([one.balanced_accuracy.p for one in comparisons])
    equivalences = holm([one.equivalence_p for one in comparisons])
    return [
        replace(one, adjusted_p=p, equivalence_p=q)
        for one, p, q in zip(comparisons, differences, equivalences, strict=True)
    ]
