"""What participants tell of themselves: are they right when they are sure, and does experience help?"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from morphoscope.classify.certainty.strata import FEW
from morphoscope.classify.survey.comparison import parts
from morphoscope.runtime.reporting.report import Section, Table
from morphoscope.runtime.statistics import Estimate, format_estimate, proportion

_LEVELS = ["1", "2", "3", "4", "5"]
_ENDS = {"1": "1 (a guess)", "5": "5 (certain)"}  # as the form calls them
_BANDS = {"under 5 years": 5, "5 to 14 years": 15, "15 years and over": np.inf}
_MARK = " *"
_CAUTION = (
    "Shares of right answers, how many answers there are and of how many participants. Wilson's 95% interval "
    "takes answers for independent although a participant gives many, so that it is too narrow. "
    f"{_MARK.strip()} fewer than {FEW} answers: says little."
)


def by_confidence(judged: pd.DataFrame) -> pd.DataFrame:
    """Accuracy by stated confidence, "1" (a guess) to "5" (certain); answers without one are left out.

    Args:
        judged: as `judged_answers` returns them.

    Returns:
        One row a view, specialty and confidence that occurs: answers, participants, accuracy, low and high
        (Wilson 1927), few (fewer than 20 answers).
    """
    return _shares(judged, "confidence", _LEVELS)


def by_experience(judged: pd.DataFrame) -> pd.DataFrame:
    """The same by years of experience, in three bands; participants who gave none are left out."""
    bands = [
        next(name for name, end in _BANDS.items() if float(y) < end) if y else "" for y in judged["years"]
    ]
    return _shares(judged.assign(years=bands), "years", list(_BANDS))


def self_report_sections(confidence: pd.DataFrame, experience: pd.DataFrame) -> list[Section]:
    """Of the report: a section for each of the two tables that has rows."""
    titles = {"confidence": "Right when they are sure?", "years": "By years of experience"}
    tables = zip(titles.items(), (confidence, experience), strict=True)
    return [
        Section(title, _CAUTION, table=_table(shares, told))
        for (told, title), shares in tables
        if len(shares)
    ]


def _shares(judged: pd.DataFrame, told: str, values: Sequence[str]) -> pd.DataFrame:
    rows = []
    for view, specialty, of_group in parts(judged):
        for value in values:
            here = of_group[of_group[told] == value]
            if len(here):
                share = proportion(int(here["right"].sum()), len(here))
                counts = {"answers": len(here), "participants": here["participant"].nunique()}
                ends = {"accuracy": share.value, "low": share.low, "high": share.high}
                facts = {"view": view, "specialty": specialty, told: value}
                rows.append({**facts, **counts, **ends, "few": len(here) < FEW})
    return pd.DataFrame(rows)


def _table(shares: pd.DataFrame, told: str) -> Table:
    """A row a view and specialty, a column each value that occurs."""
    values = [value for value in (*_LEVELS, *_BANDS) if (shares[told] == value).any()]
    rows = []
    for (view, specialty), group in shares.groupby(["view", "specialty"], sort=False):
        cells = {row[told]: _cell(row) for row in group.to_dict("records")}
        rows.append([f"{view}, {specialty}", *(cells.get(value, "–") for value in values)])
    return Table(["view, specialty", *(_ENDS.get(value, value) for value in values)], rows)


def _cell(row: dict[Hashable, Any]) -> str:
    share = format_estimate(Estimate(row["accuracy"], row["low"], row["high"]), digits=2)
    return f"{share}, {row['answers']} answers of {row['participants']}{_MARK if row['few'] else ''}"
