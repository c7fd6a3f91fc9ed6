"""Importer for ISIC and HAM10000 tables. Metadata and absolute paths are removed, see `copy_in`."""

import logging
from pathlib import Path
from typing import get_args

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.conditions import isic_descriptions
from morphoscope.cohort.importers.copying import copy_in, match_files, unlisted_files
from morphoscope.cohort.importers.tables import (
    find_column,
    keep_other_columns,
    open_table,
    optional_column,
    patients,
    with_age,
)
from morphoscope.cohort.names import known_names
from morphoscope.configs import arguments
from morphoscope.configs.views import View

_FILE_COLUMNS = ("file", "image_id", "image", "image_name", "isic_id", "filename")
_LABEL_COLUMNS = ("dx", "diagnosis")
# Of the present ISIC archive: 1 is benign or malignant, 5 the most specific; few rows have all of them.
_LEVELS = tuple(f"diagnosis_{level}" for level in (5, 4, 3, 2, 1))
# One-hot columns of the ISIC 2018 and 2019 ground truth; the condition is the name in lower case, like `dx`.
_ONE_HOT = ("MEL", "NV", "BCC", "AKIEC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")

log = logging.getLogger(__name__)


def import_isic(
    source: Path,
    destination: Path,
    *,
    images: Path | None = None,
    view: str = "focused",
    condition_column: str | None = None,
    allow_unlisted: bool = False,
    to_srgb: bool = False,
) -> Cohort:
    """Import images with an ISIC or HAM10000 table.

    The image's name is in `file`, `image_id`, `image`, `image_name`, `isic_id` or `filename`, with or without
    suffix; the label in `dx` or `diagnosis`, or one-hot in MEL, NV, BCC, …, or in `diagnosis_1` to
    `diagnosis_5`, of which each row's most specific one counts; which were taken is logged. Rows that share a
    `patient_id` or a `lesion_id` are one group; without both the image is. Further columns are kept;
    `Age` or `age_approx` (or `age_approximate`), where known, is also the manifest's `age`. `conditions.csv`
    spells the diagnoses out.

    Args:
        source: the CSV, or a folder or zip with exactly one CSV in it.
        destination: a new folder for the cohort.
        images: folder or zip of the images; default: where the CSV lies.
        condition_column: column of the labels, instead of those above.
        allow_unlisted: leave out images that have no row, instead of refusing.
        to_srgb: convert images with a colour profile (ICC) to sRGB, and drop the profile.

    Raises:
        UserError: missing columns; and in one message: rows without exactly one label, listed files that are
            absent, images without a row, unreadable images.
    """
    destination = arguments.path("destination", destination)
    arguments.flag("allow_unlisted", allow_unlisted)
    if condition_column is not None:
        arguments.text("condition_column", condition_column)
    arguments.one_of("view", view, get_args(View))
    table, store, name = open_table(source, images)
    file_column = find_column(table, _FILE_COLUMNS, name)
    one_hot = [column for column in table.columns if str(column).upper() in _ONE_HOT]
    if condition_column is not None:
        one_hot = []
        condition = known_names(table[find_column(table, [condition_column], name, "--condition-column")])
    elif len(one_hot) > 1:
        condition = _from_one_hot(table[one_hot])
    else:
        one_hot = []
        condition = _from_levels(table, name)
    found, errors = match_files(store, list(table[file_column]))
    errors += [f"{file}: no label" for file in table[file_column][condition == ""]]
    if not allow_unlisted:
        errors += unlisted_files(store, found)
    rows = pd.DataFrame({"file": found, "condition": condition, "group": patients(table, name), "view": view})
    others = table.drop(columns=[file_column, *one_hot])
    kept = keep_other_columns(with_age(rows, table), others)
    return copy_in(store, kept, destination, errors, isic_descriptions(condition), to_srgb=to_srgb)


def _from_levels(table: pd.DataFrame, name: str) -> pd.Series:
    """Each row's label: `dx` or `diagnosis`, or else the most specific of `diagnosis_5` to `diagnosis_1`."""
    given = [column for one in _LEVELS if (column := optional_column(table, one, name)) is not None]
    if not given or any(optional_column(table, one, name) is not None for one in _LABEL_COLUMNS):
        return known_names(table[find_column(table, (*_LABEL_COLUMNS, *_LEVELS), name)])
    condition, taken = pd.Series("", index=table.index), []
    for column in given:
        filled = condition.where(condition != "", known_names(table[column]))
        taken.append(f"{column} ({(filled != condition).sum()} rows)")
        condition = filled
    log.warning(
        "%s: the condition is each row's most specific diagnosis, from %s. Give --condition-column for "
        "conditions of one level.",
        name,
        ", ".join(taken),
    )
    return condition


def _from_one_hot(values: pd.DataFrame) -> pd.Series:
    """Lower-case name of the column that is 1 in each row; "" where there is not exactly one."""
    hot = values.apply(pd.to_numeric, errors="coerce") == 1
    names = hot.idxmax(axis=1).astype(str).str.lower()
    return names.where(hot.sum(axis=1) == 1, "")
