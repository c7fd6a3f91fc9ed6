"""Accuracy by what participants report about themselves: confidence in each answer, and years in practice."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from morphoscope.classify.certainty.strata import FEW
from morphoscope.classify.survey.comparison import subsets
from morphoscope.runtime.reporting.report import Section, Table
from morphoscope.runtime.statistics import Estimate, format_estimate, proportion_by_group

Column = Literal["confidence", "years"]
_CONFIDENCES = ["1", "2", "3", "4", "5"]
_ENDS = {"1": "1 (a guess)", "5": "5 (certain)"}  # as in the form
_BANDS = {"under 5 years": 5, "5 to 14 years": 15, "15 years and over": np.inf}  # upper ends
_MARK = " *"
_EXPLANATION = (
    "Proportion of correct answers, the number of answers, and the number of participants who gave them. "
    "The 95% interval allows for several answers of one participant. "
    f"{_MARK.strip()} Fewer than {FEW} answers: too few for a conclusion."
)


class GroupAccuracy(NamedTuple):
    """Accuracy of the answers that share a confidence, or of participants who share a band of experience.

    Attributes:
        view, specialty: as in `Subset`.
        group: "1" to "5", or the name of the band.
        answers, participants: how many there are.
        accuracy: in [0, 1], with its interval by participant.
    """

    view: str
    specialty: str
    group: str
    answers: int
    participants: int
    accuracy: Estimate

    @property
    def few(self) -> bool:
        """Whether there are too few answers to draw a conclusion."""
        return self.answers < FEW


def by_confidence(scored: pd.DataFrame) -> list[GroupAccuracy]:
    """Accuracy by confidence, "1" (a guess) to "5" (certain); answers without one are left out.

    Args:
        scored: as `score_answers` returns them.
    """
    return _accuracies(scored, "confidence", _CONFIDENCES)


def by_experience(scored: pd.DataFrame) -> list[GroupAccuracy]:
    """Accuracy by years in practice, in three bands; participants who did not give them are left out.

    Args:
        scored: as `score_answers` returns them.
    """
    bands = [
        next(name for name, end in _BANDS.items() if float(years) < end) if years else ""
        for years in scored["years"]
    ]
    return _accuracies(scored.assign(years=bands), "years", list(_BANDS))


def self_report_table(accuracies: Sequence[GroupAccuracy], column: Column) -> pd.DataFrame:
    """The rows of confidence.csv or experience.csv; `column` is the name of the groups' column."""
    return pd.DataFrame(
        [
            {
                "view": one.view,
                "specialty": one.specialty,
                column: one.group,
                "answers": one.answers,
                "participants": one.participants,
                "accuracy": one.accuracy.value,
                "low": one.accuracy.low,
                "high": one.accuracy.high,
                "few": one.few,
            }
            for one in accuracies
        ]
    )


def self_report_sections(
    confidence: Sequence[GroupAccuracy], experience: Sequence[GroupAccuracy]
) -> list[Section]:
    """The report's sections: one for each that has any accuracies."""
    titled = {"Accuracy by confidence": confidence, "Accuracy by years in practice": experience}
    return [
        Section(title, _EXPLANATION, table=_cross_table(accuracies))
        for title, accuracies in titled.items()
        if accuracies
    ]


def _accuracies(scored: pd.DataFrame, column: Column, groups: Sequence[str]) -> list[GroupAccuracy]:
    found = []
    for view, specialty, answers in subsets(scored):
        for group in groups:
            of_group = answers[answers[column] == group]
            if len(of_group):
                right, participant = of_group["right"].to_numpy(bool), of_group["participant"].to_numpy(str)
                accuracy = proportion_by_group(right, participant)
                participants = of_group["participant"].nunique()
                found.append(GroupAccuracy(view, specialty, group, len(of_group), participants, accuracy))
    return found


def _cross_table(accuracies: Sequence[GroupAccuracy]) -> Table:
    """One row per view and specialty, one column per group that occurs."""
    occurring = {one.group for one in accuracies}
    groups = [group for group in (*_CONFIDENCES, *_BANDS) if group in occurring]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for one in accuracies:
        cells.setdefault((one.view, one.specialty), {})[one.group] = _cell(one)
    rows = [
        [f"{view}, {specialty}", *(row.get(group, "–") for group in groups)]
        for (view, specialty), row in cells.items()
    ]
    return Table(["view, specialty", *(_ENDS.get(group, group) for group in groups)], rows)


def _cell(one: GroupAccuracy) -> str:
    mark = _MARK if one.few else ""
    answers = "1 answer" if one.answers == 1 else f"{one.answers} answers"
    return f"{format_estimate(one.accuracy, digits=2)}{mark}\n{answers} from {one.participants}"
