"""All results of a set of surveys, as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from morphoscope.classify.evaluation import Evaluation
from morphoscope.classify.survey.answers import Answers
from morphoscope.classify.survey.building import SURVEY_VIEWS, Surveys
from morphoscope.classify.survey.comparison import ALL, Comparison, PairedTest, compare, score_answers
from morphoscope.classify.survey.groups import GroupAgreement, GroupTest, group_agreements, group_tests
from morphoscope.classify.survey.power import paired_power, surveys_needed
from morphoscope.configs import UserError
from morphoscope.configs.survey import SurveyAnalysis
from morphoscope.runtime.statistics import Estimate, confusion_counts

DIFFERENCES = (0.05, 0.1, 0.15, 0.2, 0.3)  # true differences of accuracy for which the power is computed


class Counts(NamedTuple):
    """How much data there is; its labels in reports are those of `labelled`."""

    surveys_built: int
    surveys_answered: int
    images_in_surveys: int
    images_answered: int
    fewest_showings: int
    most_showings: int
    files: int
    participants: int
    sheets: int
    incomplete_sheets: int
    answers: int
    repeated_answers: int

    def labelled(self) -> dict[str, int]:
        """The counts by their labels, as analysis.json and the report have them."""
        return dict(zip(_COUNT_LABELS, self, strict=True))


_COUNT_LABELS = (
    "surveys built",
    "surveys answered",
    "images in the surveys",
    "images answered",
    "least often an image is shown",
    "most often an image is shown",
    "files read",
    "participants",
    "sheets (a participant's answers to one survey)",
    "sheets left out as incomplete",
    "answers",
    "later answers to the same question, which do not count",
)


class PowerEstimate(NamedTuple):
    """Power of the paired t-test for one view and true difference.

    Attributes:
        view: "focused", "panoramic" or "both".
        standard_deviation: of the surveys' differences, as observed.
        true_difference: of the accuracies, in [0, 1].
        surveys: number of surveys answered.
        power: of this number of surveys, in [0, 1].
        surveys_for_80, surveys_for_90: numbers of surveys needed for a power of 80% and 90%.
    """

    view: str
    standard_deviation: float
    true_difference: float
    surveys: int
    power: float
    surveys_for_80: int
    surveys_for_90: int


# The columns of power.csv that are not called like the fields of `PowerEstimate`.
_POWER_COLUMNS = {
    "standard_deviation": "deviation",
    "surveys_for_80": "surveys_for_80%",
    "surveys_for_90": "surveys_for_90%",
}


@dataclass(frozen=True)
class Analysis:
    """Results of one set of surveys.

    Attributes:
        scored: as from `score_answers`, one row per answer.
        comparisons: by view and specialty; the first is that of both views and all participants.
        group_agreements: of classifier and specialties, on both views and on each.
        group_tests: between specialties, and between views.
    """

    surveys: Surveys
    answers: Answers
    scored: pd.DataFrame
    comparisons: list[Comparison]
    group_agreements: list[GroupAgreement]
    group_tests: list[GroupTest]

    def confusion(self, view: str, column: str) -> np.ndarray:
        """Confusion matrix of the answers to images of a view: int64 [K, K], row = true condition.

        Args:
            view: "focused" or "panoramic".
            column: "answer" for the clinicians, "predicted" for the classifier.
        """
        index = {condition: k for k, condition in enumerate(self.surveys.conditions)}
        rows = self.scored[self.scored["view"] == view]
        truth, given = (rows[name].map(index).to_numpy() for name in ("condition", column))
        return confusion_counts(truth, given, len(index))

    def counts(self) -> Counts:
        """How many surveys, images and answers there are, and how many of them count."""
        whole = self.comparisons[0]
        showings = self.surveys.showings
        return Counts(
            surveys_built=self.surveys.key["survey"].nunique(),
            surveys_answered=len(whole.per_survey),
            images_in_surveys=len(showings),
            images_answered=whole.images,
            fewest_showings=int(showings.min()),
            most_showings=int(showings.max()),
            files=self.answers.files,
            participants=whole.participants,
            sheets=whole.sheets,
            incomplete_sheets=len(self.answers.left_out),
            answers=whole.answers,
            repeated_answers=self.answers.repeated,
        )

    def power(self) -> list[PowerEstimate]:
        """Power of the t-test of each view, over all participants, for each of `DIFFERENCES`."""
        found = []
        for c in self.comparisons:
            if c.specialty == ALL and c.test is not None:
                surveys, spread = len(c.per_survey), c.test.standard_deviation
                for difference in DIFFERENCES:
                    needed = (surveys_needed(difference, spread, power) for power in (0.8, 0.9))
                    power = paired_power(difference, spread, surveys)
                    found.append(PowerEstimate(c.view, spread, difference, surveys, power, *needed))
        return found

    def summary_table(self) -> pd.DataFrame:
        """One row per view and specialty: counts, accuracies, difference, paired t-test."""
        return pd.DataFrame([_summary_row(comparison) for comparison in self.comparisons])

    def per_survey_table(self) -> pd.DataFrame:
        """One row per view, specialty and survey: sheets, answers, accuracies and their difference."""
        tables = []
        for comparison in self.comparisons:
            table = comparison.per_survey.copy()
            table.insert(0, "view", comparison.view)
            table.insert(1, "specialty", comparison.specialty)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def agreement_table(self) -> pd.DataFrame:
        """One row per design, view, set of raters and form of the ICC.

        The design "groups" has classifier and specialties as raters, "participants" the participants of a
        specialty.
        """
        designs = [
            ("groups", one.view, ", ".join(one.raters), one.agreement) for one in self.group_agreements
        ] + [("participants", c.view, c.specialty, c.agreement) for c in self.comparisons]
        rows = [
            (design, view, raters, form, *estimate, found.subjects, found.raters)
            for design, view, raters, found in designs
            if found is not None
            for form, estimate in found.forms.items()
        ]
        columns = ["design", "view", "raters", "form", *Estimate._fields, "n_surveys", "k_per_survey"]
        return pd.DataFrame(rows, columns=columns)

    def group_test_table(self) -> pd.DataFrame:
        """One row per `GroupTest`: specialty against specialty, then view against view."""
        return pd.DataFrame([_group_test_row(one) for one in self.group_tests])

    def power_table(self) -> pd.DataFrame:
        """One row per `PowerEstimate`."""
        return pd.DataFrame(self.power()).rename(columns=_POWER_COLUMNS)


def analyse(
    surveys: Surveys, answers: Answers, evaluations: Sequence[Evaluation], config: SurveyAnalysis
) -> Analysis:
    """Compare participants with the classifier on the images of the surveys.

    Like the participants, the classifier chooses among the conditions of the survey: the most probable one.

    Args:
        evaluations: of the cohort whose images the surveys show: of its fold "test", or, by ensembles trained
            on other patients, of all images. Either one evaluation, or one for each view.

    Raises:
        UserError: no answer, no complete sheet, another cohort than that of the surveys, out-of-fold
            predictions, an ensemble of pairs, or an image predicted by two ensembles.
    """
    if answers.rows.empty and not answers.left_out:
        raise UserError(f"No answers in {answers.files} files: they have a header but no further lines.")
    if answers.rows.empty:
        raise UserError(f"No complete sheet in {answers.files} files. {' '.join(answers.left_out[:10])}")
    predicted: dict[str, str] = {}
    for evaluation in evaluations:
        choices = _choices(surveys, evaluation)
        twice = sorted(choices.keys() & predicted.keys())
        if twice:
            raise UserError(
                f"Two ensembles predict the same {len(twice)} images, e.g. {twice[0]}. Give a single "
                "ensemble, or one for each view."
            )
        predicted |= choices
    scored = score_answers(answers.rows, surveys, predicted)
    compared = compare(scored, config.replicates, config.seed)
    return Analysis(surveys, answers, scored, compared, group_agreements(scored), group_tests(scored))


def _choices(surveys: Surveys, evaluation: Evaluation) -> dict[str, str]:
    """The most probable of the survey's conditions, by image file."""
    facts = evaluation.facts
    if facts.rows == "out_of_fold" or facts.cohort_digest != surveys.cohort_digest:
        raise UserError(
            f"The surveys show test images of the cohort with digest {surveys.cohort_digest}, but the "
            f"ensemble predicted rows '{facts.rows}' of the cohort with digest "
            f"{facts.cohort_digest}. Give the cohort, with the split, of the surveys."
        )
    if facts.samples == "pairs":
        raise UserError(
            "The surveys show single images, but this ensemble predicts pairs of images. Give an ensemble of "
            "single images, or one for each view."
        )
    columns = np.array([evaluation.conditions.index(condition) for condition in surveys.conditions])
    best = evaluation.prediction.combined[:, columns].argmax(axis=1)
    return {file: surveys.conditions[k] for file, k in zip(evaluation.files, best, strict=True)}


def views_answered(analysis: Analysis) -> list[str]:
    """The views with at least one answer, in the order in which they are shown."""
    return [view for view in SURVEY_VIEWS if (analysis.scored["view"] == view).any()]


def _summary_row(comparison: Comparison) -> dict[str, str | float]:
    row: dict[str, str | float] = {
        "view": comparison.view,
        "specialty": comparison.specialty,
        "participants": comparison.participants,
        "sheets": comparison.sheets,
        "images": comparison.images,
        "answers": comparison.answers,
        "surveys": len(comparison.per_survey),
    }
    for name, found in comparison.accuracies._asdict().items():
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return row | _test_cells(comparison.test)


def _group_test_row(one: GroupTest) -> dict[str, str | float]:
    row: dict[str, str | float] = {
        "within": one.within,
        "first": one.first,
        "second": one.second,
        "surveys": one.surveys,
        "first_accuracy": one.first_accuracy,
        "second_accuracy": one.second_accuracy,
    }
    return row | _test_cells(one.test)


def _test_cells(test: PairedTest | None) -> dict[str, float]:
    """The columns of a paired t-test; NaN without one."""
    nan = float("nan")
    return {
        "mean_of_surveys": test.mean.value if test else nan,
        "t_low": test.mean.low if test else nan,
        "t_high": test.mean.high if test else nan,
        "deviation": test.standard_deviation if test else nan,
        "t": test.t if test else nan,
        "df": test.degrees_of_freedom if test else nan,
        "p": test.p if test else nan,
    }
