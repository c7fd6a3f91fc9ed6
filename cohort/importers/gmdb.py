"""Importer for the GestaltMatcher Database (GMDB): faces with their syndromes."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.csv_tables import MAX_TABLE_BYTES, read_table
from morphoscope.cohort.importers.copying import copy_in
from morphoscope.cohort.importers.tables import find_column, keep_other_columns
from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.cohort.storage import Store, open_store
from morphoscope.configs import UserError, arguments, first_names

_SPLITS = re.compile(r"gmdb_(?P<split>[a-z_]+)_images_.*\.csv", re.IGNORECASE)
_SYNDROMES = re.compile(r"gmdb_syndromes_.*\.tsv", re.IGNORECASE)
_METADATA = re.compile(r"image_metadata_.*\.tsv", re.IGNORECASE)
_TESTED = {"test", "frequent_test"}  # rare images are in turn in gallery and test of several splits
# 123.jpg, 123_rot_aligned.jpg, 123_crop_square.jpg
_IMAGE = re.compile(r"(?P<number>\d+)(_[a-z_]+)?", re.IGNORECASE)


def import_gmdb(
    source: Path, destination: Path, *, images: Path | None = None, to_srgb: bool = False
) -> Cohort:
    """Import images with the tables of GMDB.

    The tables are `gmdb_SPLIT_images_VERSION.csv` with the columns `image_id`, `subject` and `label`,
    `gmdb_syndromes_VERSION.tsv` with `syndrome_id` and `syndrome_name`, and if there is one
    `image_metadata_VERSION.tsv` with `image_id`, whose other columns are kept, as are those of the syndromes
    about OMIM. Subjects are the groups, syndromes the conditions, and subjects with an image in the splits
    `test` or `frequent_test` are the test fold. Of rare syndromes GMDB has several splits: none is taken,
    since `gestalt evaluate` ranks each patient against all others.

    Args:
        source: folder or zip with one version of the tables, anywhere in it.
        destination: a new folder for the cohort.
        images: folder or zip with one image per `image_id` and nothing else; default: `source`. Names begin
            with the number, as in 123.jpg or 123_rot_aligned.jpg.
        to_srgb: convert images with a colour profile (ICC) to sRGB, and drop the profile.

    Raises:
        UserError: no table or several versions, missing columns; and in one message: images that are absent,
            or there more than once, with two labels or subjects, and unreadable ones.
    """
    destination = arguments.path("destination", destination)
    tables = open_store(arguments.path("source", source, "the path of a folder or zip with GMDB's tables"))
    store = tables if images is None else open_store(images)
    listed, tested = _listed_images(tables)
    rows, errors = _rows(listed, tested, _syndromes(tables))
    found, absent = _files(store, rows["image_id"])
    rows["file"] = found
    return copy_in(store, _with_metadata(rows, tables), destination, [*errors, *absent], to_srgb=to_srgb)


def _listed_images(tables: Store) -> tuple[pd.DataFrame, set[str]]:
    """(image_id, subject and label of all splits, without repetitions; subjects of the test splits)."""
    parts, tested, names = [], set(), _named(tables, _SPLITS)
    if not names:
        raise UserError(f"{tables.location}: no table gmdb_…_images_….csv in it.")
    splits = [str(match["split"]).lower() for match in names.values()]
    twice = sorted({split for split in splits if splits.count(split) > 1})
    if twice:
        raise UserError(f"{tables.location}: several tables of {', '.join(twice)}; give one version of GMDB.")
    for name, split in zip(names, splits, strict=True):
        table = read_table(tables.read(name, MAX_TABLE_BYTES), name)
        columns = {find_column(table, [wanted], name): wanted for wanted in ("image_id", "subject", "label")}
        part = table[list(columns)].rename(columns=columns)
        parts.append(part)
        if split in _TESTED:
            tested |= set(part["subject"])
    return pd.concat(parts).drop_duplicates().reset_index(drop=True), tested


def _rows(
    listed: pd.DataFrame, tested: set[str], syndromes: pd.DataFrame | None
) -> tuple[pd.DataFrame, list[str]]:
    """(manifest rows without files, with the column image_id; a message per image that is listed twice)."""
    doubled = sorted(set(listed["image_id"][listed["image_id"].duplicated()]))
    errors = [f"image {number}: listed with several labels or subjects" for number in doubled]
    condition = "syndrome " + listed["label"]
    others: dict[str, pd.Series] = {}
    if syndromes is not None:
        known = syndromes.set_index("syndrome_id")
        condition = listed["label"].map(known["syndrome_name"]).fillna("")
        errors += [
            f"label {label}: not in the table of syndromes" for label in set(listed["label"][condition == ""])
        ]
        about_omim = [column for column in known.columns if "omim" in str(column).lower()]
        others = {column: listed["label"].map(known[column]).fillna("") for column in about_omim}
    rows = pd.DataFrame(
        {
            "file": "",
            "condition": condition,
            "group": listed["subject"],
            "view": "face",
            "fold": listed["subject"].isin(tested).map({True: TEST_FOLD, False: ""}),
            "image_id": listed["image_id"],
            **others,
        }
    )
    return rows, errors


def _syndromes(tables: Store) -> pd.DataFrame | None:
    """The table of syndromes, with the columns syndrome_id and syndrome_name; None if there is none."""
    found = _only(tables, _SYNDROMES)
    if found is None:
        return None
    name, table = found
    columns = {find_column(table, [wanted], name): wanted for wanted in ("syndrome_id", "syndrome_name")}
    return table.rename(columns=columns).drop_duplicates("syndrome_id")


def _with_metadata(rows: pd.DataFrame, tables: Store) -> pd.DataFrame:
    """The rows with the columns of the table about images, where there is one."""
    found = _only(tables, _METADATA)
    if found is None:
        return rows
    name, table = found
    table = table.rename(columns={find_column(table, ["image_id"], name): "image_id"})
    known = table.drop_duplicates("image_id").set_index("image_id")
    known = known.drop(columns=[column for column in known.columns if column in rows.columns])
    return keep_other_columns(rows, known.reindex(rows["image_id"]).fillna("").reset_index(drop=True))


def _only(tables: Store, pattern: re.Pattern[str]) -> tuple[str, pd.DataFrame] | None:
    """(name, table) of the only table with such a name; None if there is none."""
    names = list(_named(tables, pattern))
    if len(names) > 1:
        raise UserError(f"{tables.location}: {first_names(names)}: give one version of GMDB.")
    return (names[0], read_table(tables.read(names[0], MAX_TABLE_BYTES), names[0])) if names else None


def _named(tables: Store, pattern: re.Pattern[str]) -> Mapping[str, re.Match[str]]:
    """The tables whose file name fits."""
    matches = {name: pattern.fullmatch(PurePosixPath(name).name) for name in tables.names()}
    return {name: match for name, match in matches.items() if match is not None}


def _files(store: Store, numbers: pd.Series) -> tuple[list[str], list[str]]:
    """(name of each image's file, "" where there is none; a message per image without exactly one file)."""
    places: dict[str, list[str]] = {}
    for name in store.images():
        match = _IMAGE.fullmatch(PurePosixPath(name).stem)
        if match is not None:
            places.setdefault(match["number"], []).append(name)
    candidates = [places.get(number, []) for number in numbers]
    errors = [
        f"image {number}: {'absent' if not names else f'ambiguous: {first_names(names)}'}"
        for number, names in zip(numbers, candidates, strict=True)
        if len(names) != 1
    ]
    return [names[0] if len(names) == 1 else "" for names in candidates], errors
