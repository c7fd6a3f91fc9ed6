"""What is checked against self-deception before anything trains: each check with what it counted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from morphoscope.apps.study.cell import Cell, read_json
from morphoscope.apps.study.partition import INNER, TRAINING
from morphoscope.apps.study.plan import StudyPlan, start_file
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError, first_names
from morphoscope.runtime import write_text
from morphoscope.runtime.files import file_sha256

_HASH_DIGITS = 12  # of `Cohort.image_hashes`

CHECKS = "checks.json"


@dataclass(frozen=True)
class Check:
    """One check that was passed.

    Attributes:
        what: in a sentence.
        counted: how many images, patients or files it looked at.
    """

    what: str
    counted: int


def check_leaks(plan: StudyPlan, cohort: Cohort) -> list[Check]:
    """Look for whatever would let a model see its test.

    Raises:
        UserError: an image under the names of two patients, a patient or image both in a test and in its
            training, a generator to start from that has seen patients, or images of another generator that
            are files of the cohort, or a choice that depends on a test. Nothing has been trained then.
    """
    return [
        _one_patient_per_image(cohort),
        *_separate_folds(plan, cohort),
        _start(plan, cohort),
        *_foreign_images(plan, cohort),
        *_choices(plan),
    ]


def write_checks(run: Path, checks: list[Check]) -> None:
    """Record the checks in the study's folder."""
    write_text(run / CHECKS, json.dumps({one.what: one.counted for one in checks}, indent=1) + "\n")


def read_checks(run: Path) -> list[Check]:
    """The checks that were recorded."""
    return [Check(what, counted) for what, counted in read_json(run / CHECKS).items()]


def _one_patient_per_image(cohort: Cohort) -> Check:
    """No file, byte for byte, may belong to two patients: one of them would be tested on the other."""
    rows = cohort.rows.assign(content=cohort.image_hashes)
    shared = rows[rows.groupby("content")["group"].transform("nunique") > 1]
    if len(shared):
        shared = shared.sort_values(["content", "file"])
        named = [f"{file} ({group})" for file, group in zip(shared["file"], shared["group"], strict=True)]
        raise UserError(
            f"{cohort.root}: {len(shared)} images are the same file under the names of different patients: "
            f"{first_names(named)}. Give them one group, or remove all but one; nothing has been trained."
        )
    return Check("No image file belongs to two patients.", len(rows))


def _separate_folds(plan: StudyPlan, cohort: Cohort) -> Iterator[Check]:
    """Patients and image files of the tests, the calibration and the training are different ones."""
    rows = cohort.rows.assign(content=cohort.image_hashes).set_index("file")
    cells = [cell for cell in plan.cells.values() if cell.kind == "cohort"]
    for column, what in (("group", "patient"), ("content", "image file")):
        counted = 0
        for cell in cells:
            counted += _separate(cell, rows[column], what)
        yield Check(
            f"No {what} of a test calibrates or trains, in {len(cells)} combinations of fold and shots.",
            counted,
        )


def _separate(cell: Cell, values: pd.Series, what: str) -> int:
    """Number of different values in the test; `values` by file."""
    folds = {fold: set(values.loc[files]) for fold, files in cell.settings["folds"].items()}
    for other in (INNER, TRAINING):
        both = sorted(folds[TEST_FOLD] & folds[other])
        if both:
            raise UserError(
                f"{len(both)} {what}s are both in a test and in its training: {first_names(both)}. Nothing "
                "has been trained."
            )
    return len(folds[TEST_FOLD])


def _start(plan: StudyPlan, cohort: Cohort) -> Check:
    """The snapshot that generators start from may have seen phantoms, or unknown images, but no patient."""
    path = start_file(plan.study)
    if path is None:
        return Check("Generators start from random weights.", 0)
    from morphoscope.generate.snapshots import read_snapshot_metadata  # torch

    found = read_snapshot_metadata(path)
    seen = {found.cohort_digest, *(ancestor.cohort_digest for ancestor in found.started_from)} - {None}
    if cohort.digest in seen or (seen and not found.phantoms_only):
        raise UserError(
            f"start_from: {path} was trained on images of patients ({', '.join(sorted(map(str, seen)))}), "
            "some of whom may be tested here. Start from a model that has seen none of them, or from random "
            "weights; nothing has been trained."
        )
    return Check("Generators start from a snapshot that has seen no image of this cohort.", 1)


def _foreign_images(plan: StudyPlan, cohort: Cohort) -> Iterator[Check]:
    """Images of another generator may not be files of the cohort."""
    folders = {cell.settings["folder"] for cell in plan.cells.values() if "folder" in cell.settings}
    if not folders:
        return
    known, counted = set(cohort.image_hashes), 0
    for folder in sorted(folders):
        files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        counted += len(files)
        copied = [path for path in files if file_sha256(path)[:_HASH_DIGITS] in known]
        if copied:
            raise UserError(
                f"{folder}: {len(copied)} files are images of the cohort itself: "
                f"{first_names([path.name for path in copied])}. Nothing has been trained."
            )
    yield Check(
        "No image of another generator is a file of the cohort. That each was trained without the patients "
        "of its test is what the study's author states.",
        counted,
    )


def _choices(plan: StudyPlan) -> Iterator[Check]:
    """What is chosen for a training set depends on nothing that has seen the test of its fold."""
    choices = [cell for cell in plan.cells.values() if cell.kind == "choice"]
    for choice in choices:
        cohorts = {need.needs["cohort"].name for need in choice.needs.values()}
        tested = {need.kind for need in choice.needs.values()} - {"candidate"}
        if tested or len(cohorts) != 1:
            raise UserError(
                f"{choice.name}: chooses among cells that predict a test ({', '.join(sorted(tested))}), or "
                "of several training sets. Nothing has been trained."
            )
    if choices:
        yield Check(
            f"{len(choices)} choices of ratio, psi or snapshot depend on candidates that are scored on "
            "calibration patients, and predict no test.",
            sum(len(choice.needs) for choice in choices),
        )
