"""The cell that copies the images of an outer fold and a number of shots into a cohort of their own."""

from typing import Any

import numpy as np
import pandas as pd

from morphoscope.apps.study.cell import Cell
from morphoscope.apps.study.cells.context import COHORT, Context
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError


def make_cohort(cell: Cell, context: Context) -> dict[str, Any]:
    """Copy the cohort; returns its digest and its numbers of images by fold.

    Raises:
        UserError: the study's cohort has changed since the study was planned.
    """
    path = context.store.folder(cell) / COHORT
    if not path.exists():
        whole = Cohort.load(context.cohort)
        if whole.digest != cell.settings["cohort"]:
            raise UserError(
                f"{context.cohort}: has changed since the study was planned; plan it again (study plan)."
            )
        fold_of = {file: fold for fold, files in cell.settings["folds"].items() for file in files}
        part = whole.select(np.flatnonzero(whole.rows["file"].isin(fold_of.keys())))
        part.with_folds(pd.Series([fold_of[file] for file in part.rows["file"]])).save_as(path)
    part = Cohort.load(path)
    return {"digest": part.digest, "images": part.rows["fold"].value_counts().to_dict()}
