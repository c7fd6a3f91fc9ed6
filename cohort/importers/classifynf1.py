"""Importer for the train.csv of ClassifyNF1, the published classifier of genetic skin conditions.

Metadata and absolute paths are removed, see `copy_in`.
"""

from pathlib import Path
from typing import get_args

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.importers.copying import copy_in, match_files, unlisted_files
from morphoscope.cohort.importers.siim_isic import FOLD_OF_RECORD, MERGED
from morphoscope.cohort.importers.tables import find_column, keep_other_columns, open_table, patients
from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.cohort.names import known_names
from morphoscope.configs import arguments
from morphoscope.configs.views import View

_TRUTH = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def import_classifynf1(
    source: Path,
    destination: Path,
    *,
    images: Path | None = None,
    view: str = "focused",
    allow_unlisted: bool = False,
    to_srgb: bool = False,
) -> Cohort:
    """Import images with a ClassifyNF1 train.csv: image_name, filepath, diagnosis, tfrecord, is_test.

    Rows with is_test 1 get the fold "test"; the others the published fold of their tfrecord, and those with
    tfrecord -1 are left out. Synonymous ISIC diagnoses are merged as published (seborrheic keratosis -> BKL,
    NV -> nevus, …). Rows that share a `patient_id` or a `lesion_id` are one group; without both the image is.
    All columns are kept.
    Its `age_approx` does not become `age`: the published tables fill it with 0.

    Args:
        source: the CSV, or a folder or zip with exactly one CSV in it.
        destination: a new folder for the cohort.
        images: folder or zip of the images; default: where the CSV lies. Found by `filepath`, else by name.
        view: focused or panoramic; the table does not contain it.
        allow_unlisted: leave out images that have no row, instead of refusing.
        to_srgb: convert images with a colour profile (ICC) to sRGB, and drop the profile.

    Raises:
        UserError: missing columns; and in one message: rows without a label, a tfrecord or is_test that is
            not a number, listed files that are absent, images without a row, unreadable images.
    """
    destination = arguments.path("destination", destination)
    arguments.flag("allow_unlisted", allow_unlisted)
    arguments.one_of("view", view, get_args(View))
    table, store, name = open_table(source, images)
    columns = ("image_name", "filepath", "diagnosis", "tfrecord", "is_test")
    image_name, filepath, diagnosis, tfrecord, is_test = (find_column(table, [c], name) for c in columns)
    record = pd.to_numeric(table[tfrecord], errors="coerce")
    test = table[is_test].str.lower().map(_TRUTH)
    errors = [f"{image}: is_test is neither 0 nor 1" for image in table[image_name][test.isna()]]
    test = test.eq(True)
    errors += [
        f"{image}: tfrecord is not a whole number" for image in table[image_name][~test & (record % 1 != 0)]
    ]
    listed = table[filepath].where(table[filepath] != "", table[image_name])
    kept = test | (record != -1)
    left_out = match_files(store, list(listed[~kept]))[0]
    found, absent = match_files(store, list(listed[kept]))
    table, record, test = table[kept].reset_index(drop=True), record[kept], test[kept]
    label = known_names(table[diagnosis])
    errors += [f"{image}: no diagnosis" for image in table[image_name][label == ""]]
    errors += absent
    if not allow_unlisted:
        errors += unlisted_files(store, [*found, *left_out])
    fold = (record % 15).map(FOLD_OF_RECORD).where(~test, TEST_FOLD)
    rows = pd.DataFrame(
        {
            "file": found,
            "condition": label.replace(MERGED),
            "group": patients(table, name),
            "view": view,
            "fold": list(fold),
        }
    )
    return copy_in(store, keep_other_columns(rows, table), destination, errors, to_srgb=to_srgb)
