"""Importers for general layouts: a folder per condition, a CSV table, and StyleGAN's dataset.json.

Like all importers they remove the metadata of photographs (place, time, camera, names, previews) and absolute
paths in tables; see `copy_in`. The names of files and of their folders within the source are kept: rename
those that contain a patient's name first.
"""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.importers.copying import copy_in, match_files, unlisted_files
from morphoscope.cohort.importers.tables import find_column, open_table
from morphoscope.cohort.storage import open_store
from morphoscope.configs import UserError

# Files beside photographs that are not meant as images; every other file must be readable.
_NOT_IMAGES = (".txt", ".md", ".csv", ".tsv", ".json", ".yaml", ".yml", ".xlsx", ".pdf", ".db", ".ini")


def import_folder(
    source: Path, destination: Path, *, view: str = "other", group_pattern: str | None = None
) -> Cohort:
    """Import a folder (or zip) with one subfolder per condition, named after it.

    The group of `condition/patient/photo.jpg` is `condition/patient`; an image directly in the folder of its
    condition is its own group.

    Args:
        destination: a new folder for the cohort.
        view: focused, panoramic, face or other.
        group_pattern: regular expression that is searched for in the relative path; its first group (or, if
            it has none, the whole match) is the patient or source image, e.g. r"(P[0-9]+)_".

    Raises:
        UserError: images outside the conditions' folders, unreadable images or paths that the pattern does
            not match (all named), or no image at all.
    """
    store = open_store(Path(source))
    names = [name for name in store.names() if not name.lower().endswith(_NOT_IMAGES)]
    if not names:
        raise UserError(
            f"{source}: no image found; expected a folder with one subfolder of images per condition."
        )
    errors = [f"{name}: not in a condition's folder" for name in names if "/" not in name]
    names = [name for name in names if "/" in name]
    groups = []
    for name in names:
        parts = PurePosixPath(name).parts
        group = "/".join(parts[:2]) if len(parts) > 2 else ""
        if group_pattern is not None:
            group = _search_group(group_pattern, name)
            if not group:
                errors.append(f"{name}: the group pattern {group_pattern!r} does not match")
        groups.append(group)
    conditions = [name.split("/")[0] for name in names]
    rows = pd.DataFrame({"file": names, "condition": conditions, "group": groups, "view": view}, dtype=object)
    return copy_in(store, rows, destination, errors)


def import_csv(
    source: Path,
    destination: Path,
    *,
    images: Path | None = None,
    file_column: str = "file",
    condition_column: str = "condition",
    group_column: str | None = None,
    allow_unlisted: bool = False,
) -> Cohort:
    """Import images listed in a CSV (comma, semicolon or tab).

    Columns with names of the manifest's are used as such (except masks, which are not copied: that column
    becomes `original_mask`); all others are kept as they are.

    Args:
        source: the CSV, or a folder or zip with exactly one CSV in it.
        destination: a new folder for the cohort.
        images: folder or zip of the images; default: where the CSV lies. Found by path, else by name.
        group_column: column with the patient or source image; default: `group`, if there is one.
        allow_unlisted: leave out images that have no row, instead of refusing.

    Raises:
        UserError: a missing column; and in one message: rows without a label, listed files that are absent,
            images without a row, unreadable images.
    """
    table, store, name = open_table(source, images)
    file_column = find_column(table, [file_column], name)
    condition_column = find_column(table, [condition_column], name)
    found, errors = match_files(store, list(table[file_column]))
    errors += [f"{file}: no label" for file in table[file_column][table[condition_column] == ""]]
    if not allow_unlisted:
        errors += unlisted_files(store, found)
    rows = table.drop(columns=[file_column, condition_column]).rename(columns={"mask": "original_mask"})
    if group_column is not None:
        rows["group"] = table[find_column(table, [group_column], name)]
    rows.insert(0, "condition", table[condition_column])
    rows.insert(0, "file", found)
    return copy_in(store, rows, destination, errors)


def import_dataset_json(
    source: Path, destination: Path, *, conditions: list[str] | None = None, view: str = "other"
) -> Cohort:
    """Import a folder or zip in the format of the StyleGAN tools: images and a dataset.json of class numbers.

    Args:
        destination: a new folder for the cohort.
        conditions: names in the order of the class numbers; default: the list "conditions" in dataset.json,
            which Morphoscope writes, else "class 0", "class 1", …

    Raises:
        UserError: no valid dataset.json, labels that are not class numbers, fewer names than classes, or
            files that are absent or unreadable; all files are named.
    """
    store = open_store(Path(source))
    where = f"{source}/dataset.json"
    if not store.has("dataset.json"):
        raise UserError(f"{where}: no such file.")
    try:
        content = json.loads(store.read("dataset.json"))
        pairs = [(str(file), _class_number(label)) for file, label in content["labels"]]
        named = conditions or content.get("conditions")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f'{where}: expected {{"labels": [["file.png", class number], …]}} ({error}).'
        ) from error
    classes = max((number for _, number in pairs), default=-1) + 1
    named = named or [f"class {number}" for number in range(classes)]
    if len(named) < classes:
        raise UserError(f"{where}: {classes} classes, but only {len(named)} names: {', '.join(named)}.")
    found, errors = match_files(store, [file for file, _ in pairs], suffixless=False)
    rows = pd.DataFrame(
        {"file": found, "condition": [str(named[number]) for _, number in pairs], "view": view}
    )
    return copy_in(store, rows, destination, errors)


def _class_number(label: Any) -> int:
    """A class number, given as a number or as a one-hot list."""
    if isinstance(label, list) and sorted(label)[-1:] == [1] and sum(map(abs, label)) == 1:
        return label.index(1)
    if isinstance(label, int) and not isinstance(label, bool) and label >= 0:
        return label
    raise ValueError(f"{label!r} is not a class number")


def _search_group(pattern: str, name: str) -> str:
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise UserError(f"group_pattern {pattern!r}: not a regular expression ({error}).") from error
    return "" if match is None else str(match[1] if match.re.groups else match[0])
