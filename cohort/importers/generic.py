"""Importers for general tables: CSV with columns of any name, and StyleGAN's dataset.json.

Like all importers they remove the metadata of photographs (place, time, camera, names, previews) and absolute
paths in tables; see `copy_in`. The names of files and of their folders within the source are kept: rename
those that contain a patient's name first.
"""

import json
import logging
import re
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.importers.copying import copy_in, match_files, unlisted_files
from morphoscope.cohort.importers.tables import (
    find_column,
    keep_other_columns,
    open_table,
    optional_column,
)
from morphoscope.cohort.names import UNKNOWN_PATIENT, known_name, known_names
from morphoscope.cohort.storage import Store, open_store
from morphoscope.configs import UserError, arguments, first_names
from morphoscope.configs.views import View

# Names of columns, without punctuation, that are likely to hold patients.
_PATIENT_COLUMN = re.compile(
    r"(patient|subject|person|participant|case|lesion)s?(id|name|number|no|code)?|mrn"
)
_MAX_JSON_BYTES = 32 * 2**20  # a million labels
_MAX_CLASSES = 1_000_000

log = logging.getLogger(__name__)


def import_csv(
    source: Path,
    destination: Path,
    *,
    images: Path | None = None,
    file_column: str = "file",
    condition_column: str = "condition",
    group_column: str | None = None,
    allow_unlisted: bool = False,
    to_srgb: bool = False,
) -> Cohort:
    """Import images listed in a CSV (comma, semicolon or tab).

    Columns with names of the manifest's are used as such (`group`, `view` and `fold` in any case), except
    masks, which are not copied: that column becomes `original_mask`. All others are kept as they are. Names
    are normalised, and an empty cell, `NaN`, `None`, `NA` and the like mean that a value is unknown.

    Args:
        source: the CSV, or a folder or zip with exactly one CSV in it.
        destination: a new folder for the cohort.
        images: folder or zip of the images; default: where the CSV lies. Found by path, else by name.
        group_column: column with the patient or source image; default: `group`, if there is one.
        allow_unlisted: leave out images that have no row, instead of refusing.
        to_srgb: convert images with a colour profile (ICC) to sRGB, and drop the profile.

    Raises:
        UserError: a missing column; and in one message: rows without a label, listed files that are absent,
            images without a row, unreadable images.
    """
    destination = arguments.path("destination", destination)
    arguments.flag("allow_unlisted", allow_unlisted)
    for option, column in (("file_column", file_column), ("condition_column", condition_column)):
        arguments.text(option, column)
    if group_column is not None:
        arguments.text("group_column", group_column)
    table, store, name = open_table(source, images)
    file_column = find_column(table, [file_column], name, "--file-column")
    columns = {
        "condition": find_column(table, [condition_column], name, "--condition-column"),
        "group": optional_column(table, "group", name)
        if group_column is None
        else find_column(table, [group_column], name, "--group-column"),
        "view": optional_column(table, "view", name),
        "fold": optional_column(table, "fold", name),
        "source": "source" if "source" in table.columns else None,
    }
    named = {column: given for column, given in columns.items() if given is not None}
    found, errors = match_files(store, list(table[file_column]))
    cells = {column: known_names(table[given]) for column, given in named.items()}
    if "group" in named:
        cells["group"] = known_names(table[named["group"]], UNKNOWN_PATIENT)
    errors += [f"{file}: no label" for file in table[file_column][cells["condition"] == ""]]
    if not allow_unlisted:
        errors += unlisted_files(store, found)
    if "group" not in named and not errors:
        _warn_of_patients(table, name)
    if "group" in named and (lesion := optional_column(table, "lesion_id", name)) is not None:
        _warn_of_lesions(known_names(table[lesion], UNKNOWN_PATIENT), cells["group"], name)
    others = table.drop(columns=list({file_column, *named.values()}))
    rows = keep_other_columns(pd.DataFrame({"file": found, **cells}), others, reserved=())
    return copy_in(store, rows, destination, errors, to_srgb=to_srgb)


def _warn_of_patients(table: pd.DataFrame, name: str) -> None:
    """Log that the table has columns that look like patients' names, but no column `group`."""
    likely = [
        column for column in table.columns if _PATIENT_COLUMN.fullmatch(re.sub(r"[\W_]", "", column.lower()))
    ]
    if likely:
        log.warning(
            "%s: no column group, so that each image counts as a patient of its own. If %s names the "
            "patients, import with --group-column %s.",
            name,
            " or ".join(likely),
            likely[0],
        )


def _warn_of_lesions(lesions: pd.Series, groups: pd.Series, name: str) -> None:
    """Log the lesions that occur in several groups; whether that is an error, only the user knows."""
    known = lesions[(lesions != "") & (groups != "")]
    patients = groups.groupby(known).nunique()
    shared = sorted(patients.index[patients > 1])
    if shared:
        log.warning(
            "%s: images of the same lesion_id are in different groups: %s. If lesions are numbered over the "
            "whole table and not within each patient, give these images one group.",
            name,
            first_names(shared),
        )


def import_dataset_json(
    source: Path,
    destination: Path,
    *,
    conditions: list[str] | None = None,
    view: str = "other",
    to_srgb: bool = False,
) -> Cohort:
    """Import a folder or zip in the format of the StyleGAN tools: images and a dataset.json of class numbers.

    Args:
        destination: a new folder for the cohort.
        conditions: names in the order of the class numbers; default: the list "conditions" in dataset.json,
            which Morphoscope writes, else "class 0", "class 1", …
        to_srgb: convert images with a colour profile (ICC) to sRGB, and drop the profile.

    Raises:
        UserError: no valid dataset.json, labels that are not class numbers, fewer names than classes, or
            files that are absent or unreadable; all files are named.
    """
    store, destination = open_store(source), arguments.path("destination", destination)
    arguments.one_of("view", view, get_args(View))
    if conditions is not None:
        conditions = arguments.listed("conditions", conditions, str, "a list of names")
    listing = _listing(store)
    where = f"{source}/{listing}"
    try:
        content = json.loads(store.read(listing, _MAX_JSON_BYTES))
        pairs = [(str(file), _class_number(label)) for file, label in content["labels"]]
        named = _conditions(conditions or content.get("conditions") or [])
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f'{where}: expected {{"labels": [["file.png", class number], …]}} ({error}).'
        ) from error
    numbers = sorted({number for _, number in pairs})
    if named and numbers and numbers[-1] >= len(named):
        raise UserError(
            f"{where}: {numbers[-1] + 1} classes, but only {len(named)} names: {', '.join(named)}."
        )
    if len(set(named)) < len(named):
        raise UserError(f"{where}: a name stands for two classes: {', '.join(named)}.")
    folder = listing.removesuffix("dataset.json")
    found, errors = match_files(store, [folder + file for file, _ in pairs], suffixless=False)
    unlisted = sorted(set(store.images()) - set(found))
    if unlisted and not errors:
        log.warning(
            "%s: %d images without a label are left out: %s", where, len(unlisted), first_names(unlisted)
        )
    rows = pd.DataFrame(
        {
            "file": found,
            "condition": [named[number] if named else f"class {number}" for _, number in pairs],
            "view": view,
        }
    )
    return copy_in(store, rows, destination, errors, to_srgb=to_srgb)


def _listing(store: Store) -> str:
    """The place of dataset.json: in the source, or in its only folder, as in the zip of a folder."""
    if store.has("dataset.json"):
        return "dataset.json"
    tops = {name.partition("/")[0] for name in store.names()}
    inside = f"{min(tops, default='')}/dataset.json"
    if len(tops) == 1 and store.has(inside):
        return inside
    raise UserError(f"{store.location}/dataset.json: no such file.")


def _conditions(names: Any) -> list[str]:
    """Normalised names of conditions; ValueError for anything but a list of them."""
    if not isinstance(names, list) or not all(isinstance(name, str) and known_name(name) for name in names):
        raise ValueError(f"{str(names)[:40]} is not a list of conditions")
    return list(map(known_name, names))


def _class_number(label: Any) -> int:
    """A class number, given as a number or as a one-hot list."""
    if isinstance(label, list) and sorted(label)[-1:] == [1] and sum(map(abs, label)) == 1:
        return label.index(1)
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < _MAX_CLASSES:
        return label
    raise ValueError(f"{str(label)[:40]} is not a class number from 0 to {_MAX_CLASSES - 1}")
