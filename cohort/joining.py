"""Joining cohorts that were imported separately, e.g. those of the two views of the same patients."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.conditions import CONDITIONS, Description
from morphoscope.cohort.manifest import TEST_FOLD, normalise_rows
from morphoscope.cohort.name_checks import ambiguous_names
from morphoscope.cohort.storage import JoinedStore, require_new
from morphoscope.configs import UserError, arguments, first_names

log = logging.getLogger(__name__)


def join_cohorts(cohorts: Sequence[Cohort], destination: Path, *, test_fold_only: bool = False) -> Cohort:
    """Copy the images, masks and rows of several cohorts into a new one; after an error nothing is left.

    Each cohort's files are in a folder named after it. All columns are kept, empty where a cohort lacks them.
    Groups with the same name are one patient, but a group named after an image remains that image's own.
    Similar names, and patients of several conditions, are logged before anything is copied.
    Folds are kept if every real image has one; otherwise only the fold "test" is kept, and `split` assigns
    the rest.

    Args:
        cohorts: at least two, either all of real or all of synthetic images.
        destination: a new folder, or an uncompressed zip if it ends in .zip.
        test_fold_only: keep only the fold "test", for cohorts whose other folds split the same patients
            differently.

    Raises:
        UserError: fewer than two cohorts, real and synthetic images together, a group that would be in two
            folds, one image in two cohorts, an image that cannot be read, or a destination that exists.
    """
    cohorts = arguments.listed("cohorts", cohorts, Cohort, "a list of cohorts")
    destination = arguments.path("destination", destination)
    arguments.flag("test_fold_only", test_fold_only)
    if len(cohorts) < 2:
        raise UserError("At least two cohorts are needed to join them.")
    require_new(destination)  # before any image is read
    folders = _folder_names(cohorts)
    parts = [_moved(cohort.rows, folder) for cohort, folder in zip(cohorts, folders, strict=True)]
    rows = normalise_rows(pd.concat(parts, ignore_index=True))
    _require_one_source(rows)
    real = rows["source"] == "real"
    if test_fold_only or (rows["fold"][real] == "").any():
        rows["fold"] = rows["fold"].where(rows["fold"] == TEST_FOLD, "")
    _require_one_fold_per_group(rows)
    stores = dict(zip(folders, (cohort.store for cohort in cohorts), strict=True))
    joined = Cohort.from_store(JoinedStore(destination, stores), rows, described=_described(cohorts))
    _require_distinct(joined)
    for problem in ambiguous_names(rows):
        log.warning("%s", problem.message)
    return joined.save_as(destination)


def _folder_names(cohorts: Sequence[Cohort]) -> list[str]:
    """The cohorts' own names, numbered where a name is taken already (in any case)."""
    names: list[str] = []
    for cohort in cohorts:
        path = cohort.root.resolve()
        own = (path.stem if path.suffix.lower() == ".zip" else path.name).lstrip(".") or "cohort"
        taken = {name.lower() for name in names}
        numbered = (f"{own}-{number}" for number in range(2, len(cohorts) + 2))
        names.append(next(name for name in (own, *numbered) if name.lower() not in taken))
    return names


def _moved(rows: pd.DataFrame, folder: str) -> pd.DataFrame:
    """A cohort's rows with `folder/` before its files, and before the groups that are named after a file."""
    result = rows.copy()
    result["group"] = rows["group"].mask(rows["group"].isin(set(rows["file"])), f"{folder}/" + rows["group"])
    result["file"] = f"{folder}/" + rows["file"]
    if "mask" in rows.columns:
        result["mask"] = rows["mask"].mask(rows["mask"] != "", f"{folder}/" + rows["mask"])
    return result


def _require_one_source(rows: pd.DataFrame) -> None:
    synthetic = list(rows["file"][rows["source"] == "synthetic"])
    if 0 < len(synthetic) < len(rows):
        raise UserError(
            f"{synthetic[0]}: synthetic images cannot be joined with real ones; keep their cohort separate "
            "and pass it with --synthetic."
        )


def _require_one_fold_per_group(rows: pd.DataFrame) -> None:
    folds = rows[rows["fold"] != ""].groupby("group")["fold"].unique()
    split = [f"{group} ({', '.join(sorted(names))})" for group, names in folds.items() if len(names) > 1]
    if split:
        raise UserError(
            f"{len(split)} group(s) would be in two folds: {first_names(split)}. All images of one patient "
            "belong in one fold: join with --test-fold-only, then run `cohort split --test 0` for the rest."
        )


def _described(cohorts: Sequence[Cohort]) -> list[Description]:
    """The rows of the cohorts' tables of conditions; UserError if two describe one condition differently."""
    found: dict[str, Description] = {}
    for one in (one for cohort in cohorts for one in cohort.described):
        if found.setdefault(one.name, one) != one:
            raise UserError(
                f"{one.name} is described differently in two of the cohorts: make their {CONDITIONS} agree."
            )
    return list(found.values())


def _require_distinct(joined: Cohort) -> None:
    """UserError if one image is in two of the cohorts."""
    files = joined.rows["file"].groupby(pd.Series(joined.image_hashes), sort=False).unique()
    same = [
        " = ".join(sorted(names)) for names in files if len({name.partition("/")[0] for name in names}) > 1
    ]
    if same:
        raise UserError(
            f"{len(same)} image(s) are in two of the cohorts, byte for byte: {first_names(same)}. Remove "
            "them from one cohort."
        )
