"""Which patients a cell trains on, calibrates on and tests: by outer fold and number of shots."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.cohort.folds import assign_folds

INNER, TRAINING = "0", "1"
"""Folds of a cell's cohort: the images that calibrate, and those to train on; the tested ones are "test"."""


def outer_folds(cohort: Cohort, folds: int, seed: int) -> Cohort:
    """The cohort's real images outside its own test fold, split by patient into `folds` outer folds."""
    rows = cohort.rows
    kept = (rows["source"] == "real") & (rows["fold"] != TEST_FOLD)
    return cohort.select(kept.to_numpy()).split(folds, seed)


def cell_cohort(split: Cohort, fold: str, shots: int | str, inner_folds: int, seed: int) -> Cohort:
    """The images of the cells of one outer fold, with the folds "test", INNER and TRAINING.

    The images that calibrate are the same for every number of shots, and the patients of fewer shots are
    among those of more.

    Args:
        split: as `outer_folds` gives it.
        fold: its fold that is tested.
        shots: patients of each condition to train on, or "all".
        inner_folds: number of parts of the other patients; the first calibrates, the others are trained on.
        seed: of the choice of patients.

    Raises:
        UserError: a condition has fewer patients outside the tested fold than `inner_folds`.
    """
    rows = split.rows
    tested = (rows["fold"] == fold).to_numpy()
    inner = assign_folds(rows[~tested].assign(fold=""), inner_folds, seed, 0.0)["fold"] == INNER
    folds = pd.Series(TRAINING, index=rows.index)
    folds[tested], folds[inner.index[inner]] = TEST_FOLD, INNER
    kept = np.ones(len(rows), bool)
    if shots != "all":
        training = (folds == TRAINING).to_numpy()
        kept = ~training | _first_patients(rows, training, int(shots), [seed, int(fold)])
    return split.with_folds(folds).select(kept)


def _first_patients(rows: pd.DataFrame, among: np.ndarray, shots: int, seed: Sequence[int]) -> np.ndarray:
    """Whether each row is of the first `shots` patients of its condition, in a random order: bool [N]."""
    chosen = np.zeros(len(rows), bool)
    for number, (_, part) in enumerate(rows[among].groupby("condition")):
        patients = np.random.default_rng([*seed, number]).permutation(sorted(set(part["group"])))
        chosen[part.index[part["group"].isin(patients[:shots])]] = True
    return chosen
