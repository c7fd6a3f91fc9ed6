"""Which faces networks may be trained on, and which they have not seen; families stay together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from morphoscope.classify.training.plans import require_no_copies
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.cohort.folds import units_of
from morphoscope.configs import UserError, first_names


@dataclass(frozen=True)
class RowPlan:
    """Rows of a cohort by their use.

    Attributes:
        training: row numbers, int64.
        held_out: of the excluded folds; none without excluded folds.
    """

    training: NDArray[np.int64]
    held_out: NDArray[np.int64]


def plan_rows(
    cohort: Cohort, labels: pd.Series, exclude_folds: Sequence[str], seen: Collection[str]
) -> RowPlan:
    """Choose the rows to train on: those with a label, outside the fold "test" and the excluded folds.

    Args:
        labels: of each row, "" for rows that are not used.
        exclude_folds: names of folds.
        seen: hashes of images that the networks to start from were trained on.

    Raises:
        UserError: an unknown fold, an image that is in two folds, relatives of a training image in a fold
            that is held out, no row to train on, or networks to start from that have seen somebody in a fold
            that is held out.
    """
    folds = cohort.rows["fold"]
    unknown = sorted(set(exclude_folds) - set(folds))
    if unknown:
        raise UserError(f"--exclude-folds: {cohort.root} has no fold {', '.join(unknown)}.")
    used = (labels != "").to_numpy()
    require_no_copies(cohort, used)
    apart = folds.isin([TEST_FOLD, *exclude_folds]).to_numpy()
    training = np.flatnonzero(used & ~apart)
    if not len(training):
        raise UserError(f"{cohort.root}: no image is left to train on.")
    both = _relatives(cohort, training) & apart
    if both.any():
        raise UserError(
            f"{cohort.root}: patients or families are both in training and in a fold that is held out: "
            f"{first_names(sorted(set(cohort.rows['group'][both])))}. Run `morphoscope cohort split`."
        )
    known = known_people(cohort, seen) & apart & used
    if known.any():
        raise UserError(
            f"{cohort.root}: the networks to start from were trained on people in a fold that is held out: "
            f"{first_names(sorted(set(cohort.rows['group'][known])))}. Start from networks that have not "
            "seen them, e.g. trained with the same --exclude-folds."
        )
    return RowPlan(training, np.flatnonzero(used & folds.isin(exclude_folds).to_numpy()))


def known_people(cohort: Cohort, seen: Collection[str]) -> NDArray[np.bool_]:
    """Which rows show a person, or a relative of one, of whom some image is among the hashes `seen`: [N]."""
    if not seen:
        return np.zeros(len(cohort), bool)
    return _relatives(cohort, np.flatnonzero(np.isin(cohort.image_hashes, list(seen))))


def _relatives(cohort: Cohort, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows are of the patients or families of some rows, bool [N]."""
    units = units_of(cohort.rows)
    return np.asarray(units.isin(units.iloc[rows]).to_numpy())
