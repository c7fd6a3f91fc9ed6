"""The arms in groups of patients: by age, sex and skin tone, as far as the cohort's manifest has them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from morphoscope.apps.study.collect import FoldPredictions, Predictions
from morphoscope.classify.certainty.strata import FEW, attributes, natural_order
from morphoscope.configs.study import REFERENCE, Study
from morphoscope.runtime.nested_statistics import FoldScores, NestedDifference, nested_difference
from morphoscope.runtime.statistics import Estimate, proportion_by_group

FEW_PATIENTS = 10
"""Fewer patients, or fewer than `FEW` images, and a stratum's values are not given."""


@dataclass(frozen=True)
class StratumResult:
    """The tested images with the same value of an attribute, at the largest number of shots.

    Attributes:
        attribute, value: e.g. "age" and "18-39"; "unknown" is a value, too.
        images, patients: how many were tested.
        accuracies: by arm, of the classifiers with the first seeds, with Wilson's interval by patient.
        differences: by arm, of the accuracy to that of the reference, over all folds and seeds in which the
            stratum occurs. Both are empty if there is too little.
    """

    attribute: str
    value: str
    images: int
    patients: int
    accuracies: dict[str, Estimate]
    differences: dict[str, NestedDifference]

    @property
    def few(self) -> bool:
        """Whether there is too little to state an accuracy."""
        return self.images < FEW or self.patients < FEW_PATIENTS


def compare_strata(study: Study, predictions: Predictions, rows: pd.DataFrame) -> list[StratumResult]:
    """The strata of each attribute that has several values among the tested images.

    Args:
        rows: of the cohort's manifest.
    """
    known, shots = _attributes(rows), study.shots[-1]
    arms = {arm: predictions.folds[arm, shots] for arm in study.arms if (arm, shots) in predictions.folds}
    tested = sorted({file for folds in arms.values() for fold in folds.values() for file in fold.files})
    found = []
    for attribute in known.columns:
        values = sorted(set(known.loc[tested, attribute]), key=natural_order)
        if len(values) > 1:
            found += [_stratum(arms, known[attribute] == value, attribute, value) for value in values]
    return found


def _attributes(rows: pd.DataFrame) -> pd.DataFrame:
    """Attributes by file; a skin tone that the manifest lacks is not measured in the images."""
    tones = rows["skin_tone"] if "skin_tone" in rows.columns else ""
    found = attributes(rows.assign(skin_tone=tones), images=[])
    return found.drop(columns="view", errors="ignore").set_axis(rows["file"].to_numpy(str))


def _stratum(
    arms: dict[str, dict[str, FoldPredictions]], belongs: pd.Series, attribute: str, value: str
) -> StratumResult:
    """One stratum; `belongs`: whether each file does."""
    groups = {arm: _tested(list(folds.values()), belongs)[1] for arm, folds in arms.items()}
    images, patients = max((len(own), len(set(own))) for own in groups.values())
    result = StratumResult(attribute, value, images, patients, {}, {})
    if result.few:
        return result
    for arm, folds in arms.items():
        hits, own = _tested(list(folds.values()), belongs)
        if len(own):
            result.accuracies[arm] = proportion_by_group(hits, own)
        scores = [
            _difference(arms[REFERENCE][name], fold, belongs)
            for name, fold in folds.items()
            if arm != REFERENCE and name in arms.get(REFERENCE, {})
        ]
        scores = [one for one in scores if len(one.groups)]
        if scores:
            result.differences[arm] = nested_difference(scores, bound=1)
    return result


def _tested(folds: list[FoldPredictions], belongs: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """(whether the first classifier of each fold is correct, patient) of the stratum's images."""
    chosen = [belongs[fold.files].to_numpy() for fold in folds]
    hits = [fold.correct[0, 0][here] == 1 for fold, here in zip(folds, chosen, strict=True)]
    groups = [fold.groups[here] for fold, here in zip(folds, chosen, strict=True)]
    return np.concatenate(hits), np.concatenate(groups)


def _difference(reference: FoldPredictions, arm: FoldPredictions, belongs: pd.Series) -> FoldScores:
    """Of the accuracy, without weights for conditions: a stratum need not have all of them."""
    here = belongs[arm.files].to_numpy()
    scores = (arm.correct - reference.correct)[..., here]
    return FoldScores(scores, arm.groups[here], np.zeros(int(here.sum()), np.int64))
