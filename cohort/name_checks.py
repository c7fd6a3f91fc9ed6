"""What is ambiguous in names or harmful in a spreadsheet: warnings, since only people can decide."""

from collections.abc import Iterable, Sequence

import pandas as pd

from morphoscope.cohort.manifest import Problem
from morphoscope.cohort.names import difference, similar_names
from morphoscope.cohort.spreadsheet import is_formula
from morphoscope.configs import first_names


def ambiguous_names(rows: pd.DataFrame) -> list[Problem]:
    """Warnings about normalised rows: similar names, patients under several conditions, and formulas."""
    real = rows[rows["source"] == "real"]
    patients = real[real["group"] != real["file"]]
    return [
        *_similar(rows["condition"], "conditions"),
        *_similar(patients["group"], "groups (patients)"),
        *_patients_under_conditions(patients),
        *_formulas(rows),
    ]


def _similar(names: pd.Series, what: str) -> Iterable[Problem]:
    """One warning for all names that people could take for each other."""
    found = [
        f"{' and '.join(map(repr, alike))} differ only {difference(alike)}" for alike in similar_names(names)
    ]
    if found:
        message = (
            f"{what} with similar names: {first_names(found)}. They count as different; if two are the same, "
            "give both one name."
        )
        yield Problem("warning", "similar-names", message, [])


def _patients_under_conditions(rows: pd.DataFrame) -> Iterable[Problem]:
    """Groups that hold several conditions, and names of patients in the folders of several conditions."""
    several = _under_several(list(rows["group"]), rows["condition"])
    if several:
        message = (
            f"{len(several)} groups (patients) have images of several conditions: {first_names(several)}. "
            "Each counts as one patient; if a name stands for different patients, give each their own name."
        )
        yield Problem("warning", "patient-of-several-conditions", message, [])
    pairs = zip(rows["group"], rows["condition"], strict=True)
    # The importer of folders names a patient condition/patient.
    patients = [group.removeprefix(f"{condition}/") for group, condition in pairs]
    shared = sorted(set(_under_several(patients, rows["condition"])) - set(several))
    if shared:
        message = (
            f"{len(shared)} patients' names occur under several conditions: {first_names(shared)}. They "
            "count as different patients; if they are the same, import a table with a column of patients "
            "(`cohort import csv`), so that none is in two folds."
        )
        yield Problem("warning", "patient-of-several-conditions", message, [])


def _formulas(rows: pd.DataFrame) -> Iterable[Problem]:
    """One warning for all text that a spreadsheet would run; the manifest keeps it as it is."""
    found = [
        f"{column} {cell!r}"
        for column in rows.columns
        for cell in dict.fromkeys([column, *rows[column]])
        if is_formula(cell)
    ]
    if found:
        message = (
            f"text that a spreadsheet would run as a formula: {first_names(found)}. Do not open the manifest "
            "in a spreadsheet, or change the text; tables of results are safe to open."
        )
        yield Problem("warning", "formula", message, [])


def _under_several(patients: Sequence[str], conditions: pd.Series) -> list[str]:
    """ "p1 (mel, nv)" for each patient, of those of N rows, with more than one condition."""
    under: dict[str, set[str]] = {}
    for patient, condition in zip(patients, conditions, strict=True):
        under.setdefault(patient, set()).add(condition)
    return [f"{patient} ({', '.join(sorted(names))})" for patient, names in under.items() if len(names) > 1]
