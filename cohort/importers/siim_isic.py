"""Importer for the stratified tables of the SIIM-ISIC melanoma challenge (images of 2018 to 2020).

Metadata and absolute paths are removed, see `copy_in`.
"""

from pathlib import Path

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.conditions import isic_descriptions
from morphoscope.cohort.importers.copying import copy_in, match_files, unlisted_files
from morphoscope.cohort.importers.tables import (
    find_column,
    keep_other_columns,
    open_table,
    patients,
    with_age,
)
from morphoscope.cohort.names import known_names
from morphoscope.configs import arguments

# The published folds: tfrecord modulo 15 -> fold.
_FOLD_RECORDS = {"0": (8, 5, 11), "1": (7, 0, 6), "2": (10, 12, 13), "3": (9, 1, 3), "4": (14, 2, 4)}
FOLD_OF_RECORD = {record: fold for fold, records in _FOLD_RECORDS.items() for record in records}
# The published merging of ISIC's diagnoses; the original stays in the column `diagnosis`.
MERGED = {
    "seborrheic keratosis": "BKL",
    "lichenoid keratosis": "BKL",
    "solar lentigo": "BKL",
    "lentigo NOS": "BKL",
    "cafe-au-lait macule": "unknown",
    "café-au-lait macule": "unknown",
    "atypical melanocytic proliferation": "unknown",
    "NV": "nevus",
    "MEL": "melanoma",
}


def import_siim_isic(
    source: Path,
    destination: Path,
    *,
    images: Path | None = None,
    allow_unlisted: bool = False,
    to_srgb: bool = False,
) -> Cohort:
    """Import images with one of Deotte's stratified tables: image_name, diagnosis, tfrecord, patient_id.

    Synonymous diagnoses are merged as published (seborrheic keratosis -> BKL, NV -> nevus, …), which leaves
    nine in the tables of 2020 and of 2018-2019 together. Rows with tfrecord -1 (duplicates) are left out; the
    others get the published fold of their tfrecord, in which patients are kept together. There is no test
    fold: the challenge's test images have no labels. The view is focused. Rows that share a `patient_id` or a
    `lesion_id` are one group; without both the image is. All columns are kept; `age_approx`, where known, is
    also the manifest's `age`.

    Args:
        source: the train.csv, or a folder or zip with exactly one CSV in it.
        destination: a new folder for the cohort.
        images: folder or zip of the images; default: where the CSV lies. Found by name.
        allow_unlisted: leave out images that have no row, instead of refusing.
        to_srgb: convert images with a colour profile (ICC) to sRGB, and drop the profile.

    Raises:
        UserError: missing columns; and in one message: rows without a diagnosis, a tfrecord that is not a
            whole number, listed files that are absent, images without a row, unreadable images.
    """
    destination = arguments.path("destination", destination)
    arguments.flag("allow_unlisted", allow_unlisted)
    table, store, name = open_table(source, images)
    image_name, diagnosis, tfrecord = (
        find_column(table, [column], name) for column in ("image_name", "diagnosis", "tfrecord")
    )
    record = pd.to_numeric(table[tfrecord], errors="coerce")
    errors = [f"{image}: tfrecord is not a whole number" for image in table[image_name][record % 1 != 0]]
    kept = record != -1
    left_out = match_files(store, list(table[image_name][~kept]))[0]
    table, record = table[kept].reset_index(drop=True), record[kept].reset_index(drop=True)
    found, absent = match_files(store, list(table[image_name]))
    label = known_names(table[diagnosis])
    errors += [f"{image}: no diagnosis" for image in table[image_name][label == ""]]
    errors += absent
    if not allow_unlisted:
        errors += unlisted_files(store, [*found, *left_out])
    rows = pd.DataFrame(
        {
            "file": found,
            "condition": label.replace(MERGED),
            "group": patients(table, name),
            "view": "focused",
            "fold": (record % 15).map(FOLD_OF_RECORD),
        }
    )
    complete = keep_other_columns(with_age(rows, table), table)
    return copy_in(
        store, complete, destination, errors, isic_descriptions(rows["condition"]), to_srgb=to_srgb
    )
