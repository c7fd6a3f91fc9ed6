"""How well somebody knows the conditions, from a row of answers: proportions with intervals, and a table."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from morphoscope.apps.texts import text
from morphoscope.cohort.spreadsheet import csv_text
from morphoscope.configs import UserError
from morphoscope.runtime.statistics import confusion_counts, proportion

_MOST = 1_000  # characters of a row of numbers, as requests are limited
_COLUMNS = ("truths", "answers", "predicted", "confidences", "levels", "views")
_VIEWS = ("", "focused", "panoramic", "face", "other")
_SURE = 4  # of 5


class ShareAnswer(TypedDict):
    """Correct answers of `total`: the proportion in [0, 1] with its 95% interval (Wilson)."""

    name: str
    correct: int
    total: int
    value: float
    low: float
    high: float


class ScoreAnswer(TypedDict):
    """The score of a quiz.

    `confusion` counts answers [true condition][chosen condition]. `csv` is a table with one row per question.
    """

    shares: list[ShareAnswer]
    chance: float
    conditions: list[str]
    confusion: list[list[int]]
    sentences: list[str]
    csv: str


def score(values: Mapping[str, Any], conditions: Sequence[str]) -> ScoreAnswer:
    """The score of N >= 1 answers; arguments as in `Learn.score`.

    Raises:
        UserError: rows of different lengths, or something else than numbers in range.
    """
    limits = (len(conditions) - 1, len(conditions) - 1, len(conditions) - 1, 5, 100, len(_VIEWS) - 1)
    rows = {
        name: _numbers(name, values.get(name), limit) for name, limit in zip(_COLUMNS, limits, strict=True)
    }
    truths, answers, predicted = rows["truths"], rows["answers"], rows["predicted"]
    if len({len(row) for row in rows.values()}) > 1 or min(truths) < 0 or min(answers) < 0:
        raise UserError(text("error.rows"))
    right, ensemble = np.equal(truths, answers), np.equal(truths, predicted)
    return ScoreAnswer(
        shares=[_share("learn.you", right), _share("learn.ensemble", ensemble)],
        chance=1 / len(conditions),
        conditions=list(conditions),
        confusion=confusion_counts(np.array(truths), np.array(answers), len(conditions)).tolist(),
        sentences=_sentences(right, ensemble, np.array(rows["confidences"]), len(conditions)),
        csv=csv_text(_table(rows, conditions)),
    )


def _share(name: str, correct: np.ndarray) -> ShareAnswer:
    found = proportion(int(correct.sum()), len(correct))
    value, low, high = (round(number, 4) for number in found)
    return ShareAnswer(
        name=text(name), correct=int(correct.sum()), total=len(correct), value=value, low=low, high=high
    )


def _sentences(right: np.ndarray, ensemble: np.ndarray, sure: np.ndarray, conditions: int) -> list[str]:
    """What the numbers show, and what they do not."""
    own = proportion(int(right.sum()), len(right))
    sentences = [text("learn.above_chance" if own.low > 1 / conditions else "learn.maybe_chance")]
    only_own, only_ensemble = int((right & ~ensemble).sum()), int((ensemble & ~right).sum())
    sentences.append(text("learn.against", own=only_own, ensemble=only_ensemble))
    for key, group in (
        ("learn.when_sure", sure >= _SURE),
        ("learn.when_unsure", (sure > 0) & (sure < _SURE)),
    ):
        if group.any():
            sentences.append(text(key, correct=int(right[group].sum()), total=int(group.sum())))
    return sentences


def _table(rows: Mapping[str, Sequence[int]], conditions: Sequence[str]) -> pd.DataFrame:
    def named(row: Sequence[int]) -> list[str]:
        return [conditions[index] if index >= 0 else "" for index in row]

    return pd.DataFrame(
        {
            "position": range(1, len(rows["truths"]) + 1),
            "view": [_VIEWS[index] for index in rows["views"]],
            "condition": named(rows["truths"]),
            "answer": named(rows["answers"]),
            "confidence": [str(each) if each > 0 else "" for each in rows["confidences"]],
            "ensemble": named(rows["predicted"]),
            "level": rows["levels"],
        }
    )


def _numbers(name: str, given: object, highest: int) -> list[int]:
    """Whole numbers from -1 to `highest`, separated by commas."""
    if not isinstance(given, str) or len(given) > _MOST:
        raise UserError(text("error.rows"))
    parts = given.split(",")
    if not all(part.removeprefix("-").isdecimal() and len(part) < 5 for part in parts):
        raise UserError(text("error.rows"))
    found = [int(part) for part in parts]
    if not all(-1 <= each <= highest for each in found):
        raise UserError(
            text("error.range", field=name, value=max(found, key=abs), lowest=-1, highest=highest)
        )
    return found
