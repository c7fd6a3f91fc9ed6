"""manifest.csv: its columns, how it is read and written, and the rules that it must follow."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd

from morphoscope.cohort.names import name_objection, normalise_name
from morphoscope.cohort.provenance import SYNTHETIC_COLUMNS, read_ancestor_cohorts, read_names
from morphoscope.cohort.storage import unsafe_reason
from morphoscope.configs import UserError
from morphoscope.configs.views import View

MANIFEST = "manifest.csv"
DATASET = "dataset.json"  # the same labels, for other tools
COLUMNS = ["file", "condition", "group", "view", "fold", "source"]
VIEWS = get_args(View)
SOURCES = ("real", "synthetic")
TEST_FOLD = "test"
MASK_SUFFIX = ".mask"  # added to the names of masks; loaders that look up every image find none to look up
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Problem(NamedTuple):
    """One finding about a cohort.

    Attributes:
        kind: a keyword that stays the same between versions, e.g. "fold-leak".
        message: what is wrong, with the names of files or conditions.
        files: names in the manifest; empty where the finding is about a condition.
    """

    severity: Literal["error", "warning"]
    kind: str
    message: str
    files: list[str]


def complete_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Complete and order the columns, with every cell a string ("" for unknown; dicts and lists as JSON).

    Defaults: group = file (each image is its own group), view "other", fold "", source "real". Names stay as
    they are, so that a manifest on disk keeps its digest.

    Raises:
        UserError: the column `file` or `condition` is missing.
    """
    missing = [column for column in ("file", "condition") if column not in rows.columns]
    if missing:
        raise UserError(
            f"{MANIFEST}: no column {' and '.join(missing)}; there are {', '.join(rows.columns)}."
        )
    table = rows.map(_to_text).reset_index(drop=True)
    for column, default in (("group", ""), ("view", ""), ("fold", ""), ("source", "")):
        if column not in table.columns:
            table[column] = default
    table["group"] = table["group"].where(table["group"] != "", table["file"])
    table["view"] = table["view"].where(table["view"] != "", "other")
    table["source"] = table["source"].where(table["source"] != "", "real")
    ordered = COLUMNS + [c for c in SYNTHETIC_COLUMNS if c in table.columns]
    return table[ordered + [c for c in table.columns if c not in ordered]]


def normalise_names(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows for a new manifest: every cell a string that is read from a CSV as it was written.

    Conditions, groups and folds are normalised (see `normalise_name`), except a group that is the row's file;
    all other cells lose the blanks around them.

    Raises:
        UserError: a column named twice, a condition or group with a line break or another control character,
            or text that cannot be written in UTF-8.
    """
    table = rows.map(_to_text).map(_plain_lines)
    table.columns = pd.Index([str(column).strip() for column in rows.columns])
    twice = sorted(set(table.columns[table.columns.duplicated()]))
    if twice:
        raise UserError(f"{', '.join(twice)}: the name of more than one column; rename one of them.")
    blank = [file for file in rows.get("file", []) if str(file) != str(file).strip()]
    if blank:
        raise UserError(f"file {blank[0]!r}: a blank at the start or end of the path; rename the file.")
    for column in table.columns.intersection(["condition", "group", "fold"]):
        names = table[column].map(normalise_name)
        bad = sorted({name for name in names if _CONTROL.search(name)})
        if bad:
            raise UserError(
                f"{column} {bad[0]!r}: a line break or control character in a name. Remove it, or look for a "
                "quotation mark that is not closed."
            )
        table[column] = names.where(table[column] != table.get("file"), table[column])
    return table


def normalise_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows for a new manifest: `normalise_names`, then `complete_rows`; errors as for both."""
    return complete_rows(normalise_names(rows))


def manifest_problems(rows: pd.DataFrame) -> list[Problem]:
    """All problems of normalised rows that can be found without reading a file."""
    problems = [
        *_path_problems(rows),
        *_value_problems(rows),
        *_fold_problems(rows),
        *_provenance_problems(rows),
    ]
    return problems


def dataset_json(rows: pd.DataFrame, conditions: list[str]) -> str:
    """The text of StyleGAN's label file, {"labels": [[file, class index], …]}, with names as "conditions"."""
    index = {condition: number for number, condition in enumerate(conditions)}
    labels = [
        [file, index[condition]] for file, condition in zip(rows["file"], rows["condition"], strict=True)
    ]
    return json.dumps({"labels": labels, "conditions": conditions}, ensure_ascii=False)


def _plain_lines(cell: str) -> str:
    """The cell as it will be read again from a CSV; UserError for what UTF-8 cannot represent."""
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{cell!r}: not valid Unicode; rename or correct it.") from error
    return cell.replace("\r\n", "\n").replace("\r", "\n").strip()


def _to_text(value: Any) -> str:
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value)
    return "" if pd.isna(value) else str(value)


def _path_problems(rows: pd.DataFrame) -> Iterable[Problem]:
    for column in ("file", "mask"):
        for name in rows[column] if column in rows.columns else []:
            reason = unsafe_reason(name)
            if reason is not None and not (column == "mask" and name == ""):
                yield Problem("error", "path", f"{column} {name!r}: {reason}.", [name])
    twice = sorted(set(rows["file"][rows["file"].duplicated()]))
    if twice:
        yield Problem("error", "duplicate-row", f"listed more than once: {', '.join(twice)}.", twice)


def _value_problems(rows: pd.DataFrame) -> Iterable[Problem]:
    unlabelled = list(rows["file"][rows["condition"] == ""])
    if unlabelled:
        yield Problem("error", "unlabelled", f"no condition given for {', '.join(unlabelled)}.", unlabelled)
    for condition, part in rows[rows["condition"] != ""].groupby("condition"):
        if reason := name_objection(str(condition)):
            message = f"condition {str(condition)[:40]!r} of {part['file'].iloc[0]} {reason}; rename it."
            yield Problem("error", "condition", message, list(part["file"]))
    for column, allowed in (("view", VIEWS), ("source", SOURCES)):
        for value, part in rows[~rows[column].isin(allowed)].groupby(column):
            message = f"{column} {value!r} of {part['file'].iloc[0]} is none of {', '.join(allowed)}."
            yield Problem("error", column, message, list(part["file"]))
    valid = rows["fold"].str.fullmatch(r"\d*") | (rows["fold"] == TEST_FOLD)
    for value, part in rows[~valid].groupby("fold"):
        message = f"fold {value!r} of {part['file'].iloc[0]} is neither a number nor '{TEST_FOLD}' nor empty."
        yield Problem("error", "fold", message, list(part["file"]))


def _fold_problems(rows: pd.DataFrame) -> Iterable[Problem]:
    in_fold = rows[rows["fold"] != ""]
    synthetic = list(in_fold["file"][in_fold["source"] == "synthetic"])
    if synthetic:
        message = f"synthetic images may not be in a validation or test fold: {', '.join(synthetic)}."
        yield Problem("error", "synthetic-in-fold", message, synthetic)
    folds_of = in_fold.groupby("group")["fold"].nunique()
    for group in folds_of.index[folds_of > 1]:
        part = in_fold[in_fold["group"] == group]
        names = ", ".join(sorted(set(part["fold"])))
        message = f"group {group!r} is in the folds {names}; all images of a patient belong in one fold."
        yield Problem("error", "fold-leak", message, list(part["file"]))
    if "family" not in rows.columns:
        return
    related = in_fold[in_fold["family"] != ""]
    folds_of = related.groupby("family")["fold"].nunique()
    for family in folds_of.index[folds_of > 1]:
        part = related[related["family"] == family]
        names = ", ".join(sorted(set(part["fold"])))
        message = (
            f"family {family!r} is in the folds {names}; relatives belong in one fold: run `cohort split`."
        )
        yield Problem("error", "family-leak", message, list(part["file"]))


def _provenance_problems(rows: pd.DataFrame) -> Iterable[Problem]:
    synthetic = rows[rows["source"] == "synthetic"]
    parsers: dict[str, Callable[[str], object]] = {
        "generator": lambda cell: cell or None,
        "trained_on_folds": read_names,
        "trained_on_cohort": lambda cell: cell or None,
        "ancestor_cohorts": read_ancestor_cohorts,
    }
    for column, parse in parsers.items():
        cells = synthetic[column] if column in rows.columns else pd.Series("", index=synthetic.index)
        bad = [parse(cell) is None for cell in cells]
        files = list(synthetic["file"][bad])
        if files:
            message = f"synthetic images without a valid `{column}`: {', '.join(files)}."
            yield Problem("error", "provenance", message, files)
