"""Read the participants' answers: validated, first answers only, complete sheets only."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from morphoscope.classify.survey.building import Surveys
from morphoscope.classify.survey.form import ANSWER_COLUMNS, AnswerRow
from morphoscope.cohort.spreadsheet import read_csv
from morphoscope.configs import UserError

COMPLETE = 0.95  # a sheet is complete if more than this fraction of its questions is answered
_MAX_FILE_BYTES = 2**20
_MAX_FILES = 10_000
_SHOWN_PROBLEMS = 10
_NOT_GIVEN = "not given"
_CODE = re.compile(r"[A-Za-z0-9_-]{1,40}")
_TEXT = re.compile(r"[^\x00-\x1f]{0,60}")
_NUMBER = re.compile(r"[0-9]{1,2}([.,][0-9]{1,6})?", re.ASCII)
_MOST_YEARS = 80


@dataclass(frozen=True)
class Answers:
    """The answers that count.

    Attributes:
        rows: one row per answer: participant, specialty, years (a number from 0 to 80, or "" if not given),
            survey, position, answer, confidence ("1" to "5", or "").
        left_out: one sentence for each sheet (a participant's answers to one survey) that is not complete.
        warnings: one sentence for each participant who gave years, but none that is a number from 0 to 80.
        files: number of files read.
        repeated: number of later answers to a question already answered, which do not count.
    """

    rows: pd.DataFrame
    left_out: list[str]
    warnings: list[str]
    files: int
    repeated: int


def read_answers(path: Path, surveys: Surveys) -> Answers:
    """Read a folder of CSV files saved by the forms, or one such file.

    If a participant answered a question more than once, the answer saved first counts. Sheets with 95% or
    less of the questions answered are left out. Years that are not a number count as not given, so that no
    answers are lost because of an optional field.

    Raises:
        UserError: no file, a file larger than 1 MiB, a missing column, an answer to another set of surveys,
            an unknown survey, position or condition, or a malformed code; the message names up to ten lines.
    """
    path = Path(path)
    files = sorted(path.glob("[!.]*.csv")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: no .csv file in this folder; give the folder of the returned files.")
    if len(files) > _MAX_FILES:
        raise UserError(f"{path}: {len(files)} files, but at most {_MAX_FILES} are accepted.")
    table = pd.concat([_read_file(file, surveys) for file in files], ignore_index=True)
    table = table.sort_values("saved", kind="stable")
    table["years"], warnings = _years(table)
    for column in ("specialty", "years"):  # of each participant, the one given first
        given = table[table[column] != ""].groupby("participant")[column].first().to_dict()
        table[column] = [given.get(participant, "") for participant in table["participant"]]
    table["specialty"] = table["specialty"].replace("", _NOT_GIVEN)
    answered = table[table["answer"] != ""]
    first = answered.drop_duplicates(["participant", "survey", "position"])
    complete, left_out = _complete_sheets(table, first, surveys)
    columns = ["participant", "specialty", "years", "survey", "position", "answer", "confidence"]
    rows = complete[columns].sort_values(["survey", "participant", "position"], ignore_index=True)
    return Answers(rows, left_out, warnings, len(files), len(answered) - len(first))


def _read_file(file: Path, surveys: Surveys) -> pd.DataFrame:
    table = read_csv(file, _MAX_FILE_BYTES)
    missing = [column for column in ANSWER_COLUMNS if column not in table.columns]
    if missing:
        raise UserError(f"{file}: no column {', '.join(missing)}; use the files as saved by the forms.")
    positions = surveys.key.groupby("survey")["position"].max()
    views = {(s, p): view for s, p, view in surveys.key[["survey", "position", "view"]].to_numpy()}
    problems = [
        f"line {line}: {problem}"
        for line, cells in enumerate(table[ANSWER_COLUMNS].itertuples(index=False), start=2)
        for problem in _problems(AnswerRow(*cells), surveys, positions, views)
    ]
    if problems:
        more = f" … and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
        raise UserError(f"{file}: {' '.join(problems[:_SHOWN_PROBLEMS])}{more}")
    table["saved"] = pd.to_datetime(table["saved"], format="ISO8601", utc=True)
    return table[ANSWER_COLUMNS].astype({"survey": int, "position": int})


def _problems(
    row: AnswerRow, surveys: Surveys, positions: pd.Series, views: dict[tuple[int, int], str]
) -> Iterator[str]:
    """Sentences about what is wrong with one line."""
    if row.set != surveys.name:
        yield f"set {row.set!r} is not that of these surveys ({surveys.name})."
        return
    survey, position = _whole_number(row.survey), _whole_number(row.position)
    if survey not in positions.index:
        yield f"no survey {row.survey!r}; there are {len(positions)}."
    elif not 1 <= position <= positions[survey]:
        yield f"no position {row.position!r}; survey {survey} has {positions[survey]} questions."
    elif row.view != views[survey, position]:
        yield f"view {row.view!r} where survey {survey} shows a {views[survey, position]} image."
    if row.answer not in ("", *surveys.conditions):
        yield f"answer {row.answer!r} is none of {', '.join(surveys.conditions)}."
    if row.confidence not in ("", "1", "2", "3", "4", "5"):
        yield f"confidence {row.confidence!r} must be 1 to 5, or empty."
    if not _CODE.fullmatch(row.participant):
        yield f"participant {row.participant[:50]!r} must be a code of 1 to 40 letters, digits, - and _."
    if not _TEXT.fullmatch(row.specialty):
        yield "specialty must have at most 60 characters, on one line."
    if pd.isna(pd.to_datetime(row.saved, format="ISO8601", utc=True, errors="coerce")):
        yield f"saved {row.saved[:40]!r} must be a time such as 2026-05-01T12:00:00Z."


def _whole_number(text: str) -> int:
    """The value of a whole number from 0 to 999999, or -1 for any other text."""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else -1


def _years(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Each row's years as a number or "", and a warning for each participant with only other text."""
    years: list[str] = []
    warnings: dict[str, str] = {}
    for participant, given in zip(table["participant"], table["years"], strict=True):
        number = float(given.replace(",", ".")) if _NUMBER.fullmatch(given) else None
        sensible = number is not None and number <= _MOST_YEARS
        years.append(f"{number:g}" if sensible else "")
        if given and not sensible:
            warnings.setdefault(
                participant,
                f"{participant}: years {given[:20]!r} is not a number from 0 to {_MOST_YEARS} and counts as "
                "not given.",
            )
    counted = {participant for participant, number in zip(table["participant"], years, strict=True) if number}
    return years, [warning for participant, warning in warnings.items() if participant not in counted]


def _complete_sheets(
    table: pd.DataFrame, first: pd.DataFrame, surveys: Surveys
) -> tuple[pd.DataFrame, list[str]]:
    """The answers of complete sheets, and a sentence for each incomplete sheet."""
    questions = surveys.key["survey"].value_counts().to_dict()
    answered = first.groupby(["participant", "survey"]).size().to_dict()
    left_out = {
        (participant, survey): f"{participant}, survey {survey}: {answered.get((participant, survey), 0)} of "
        f"{questions[survey]} questions answered; more than {COMPLETE:.0%} are needed."
        for participant, survey in sorted(set(zip(table["participant"], table["survey"], strict=True)))
        if answered.get((participant, survey), 0) <= COMPLETE * questions[survey]
    }
    sheets = zip(first["participant"], first["survey"], strict=True)
    # With a dtype, since an empty list would select columns.
    kept = np.array([sheet not in left_out for sheet in sheets], bool)
    return first[kept], list(left_out.values())
