"""Everything that a set of surveys shows, as tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from morphoscope.classify.evaluation.evaluation import Evaluation
from morphoscope.classify.survey.answers import Answers
from morphoscope.classify.survey.building import SURVEY_VIEWS, Surveys
from morphoscope.classify.survey.comparison import ALL, Comparison, compare, judged_answers
from morphoscope.classify.survey.power import paired_power, surveys_needed
from morphoscope.configs import UserError
from morphoscope.configs.survey import SurveyAnalysis
from morphoscope.runtime.statistics import Estimate, confusion_counts

WISHED = (0.05, 0.1, 0.15, 0.2, 0.3)  # differences of accuracy whose power is told
ENOUGH = (0.8, 0.9)  # power for which the number of surveys is told


@dataclass(frozen=True)
class Analysis:
    """Results of one set of surveys.

    Attributes:
        judged: as `judged_answers`, one row an answer.
        comparisons: by view and specialty, the first of both views and all participants.
    """

    surveys: Surveys
    answers: Answers
    judged: pd.DataFrame
    comparisons: list[Comparison]

    def confusion(self, view: str, column: str) -> np.ndarray:
        """int64 [K, K] over the answers of a view: row = truth, column = "answer" or "predicted"."""
        index = {condition: k for k, condition in enumerate(self.surveys.conditions)}
        rows = self.judged[self.judged["view"] == view]
        truth, said = (rows[name].map(index).to_numpy() for name in ("condition", column))
        return confusion_counts(truth, said, len(index))

    def counts(self) -> dict[str, int]:
        """How much was read, and how much of it counts."""
        whole = self.comparisons[0]
        shown = self.surveys.shown
        return {
            "surveys built": self.surveys.key["survey"].nunique(),
            "surveys answered": len(whole.per_survey),
            "images in the surveys": len(shown),
            "images answered": whole.images,
            "least often an image is shown": int(shown.min()),
            "most often an image is shown": int(shown.max()),
            "files read": self.answers.files,
            "participants": whole.participants,
            "sheets (a participant's answers to one survey)": whole.sheets,
            "sheets left out as incomplete": len(self.answers.left_out),
            "answers": whole.answers,
            "later answers to the same question, which do not count": self.answers.repeated,
        }

    def summary(self) -> pd.DataFrame:
        """One row a view and specialty: counts, accuracies, difference, paired t-test."""
        return pd.DataFrame([_summary_row(comparison) for comparison in self.comparisons])

    def per_survey(self) -> pd.DataFrame:
        """One row a view, specialty and survey: sheets, answers, accuracies and their difference."""
        parts = [c.per_survey.assign(view=c.view, specialty=c.specialty) for c in self.comparisons]
        table = pd.concat(parts, ignore_index=True)
        return table[["view", "specialty", *(c for c in table if c not in ("view", "specialty"))]]

    def agreements(self) -> pd.DataFrame:
        """One row a view, specialty and form of the ICC."""
        rows = []
        for c in self.comparisons:
            if c.agreement is not None:
                for form in ("one_way", "absolute", "consistency"):
                    estimate: Estimate = getattr(c.agreement, form)
                    row = {"view": c.view, "specialty": c.specialty, "form": _FORMS[form]}
                    numbers = {"n_surveys": c.agreement.subjects, "k_sheets": c.agreement.raters}
                    rows.append({**row, **estimate._asdict(), **numbers})
        columns = ["view", "specialty", "form", *Estimate._fields, "n_surveys", "k_sheets"]
        return pd.DataFrame(rows, columns=columns)

    def power(self) -> pd.DataFrame:
        """One row a view and true difference: power of this many surveys, and how many would be enough."""
        rows: list[dict[str, Any]] = []
        for c in self.comparisons:
            if c.specialty == ALL and c.test is not None:
                surveys, deviation = len(c.per_survey), c.test.deviation
                for difference in WISHED:
                    needed = {
                        f"surveys_for_{power:.0%}": surveys_needed(difference, deviation, power)
                        for power in ENOUGH
                    }
                    power = paired_power(difference, deviation, surveys)
                    row = {"view": c.view, "deviation": deviation, "true_difference": difference}
                    rows.append({**row, "surveys": surveys, "power": power, **needed})
        return pd.DataFrame(rows)


_FORMS = {"one_way": "ICC(1,1)", "absolute": "ICC(A,1)", "consistency": "ICC(C,1)"}


def analyse(
    surveys: Surveys, answers: Answers, evaluations: Sequence[Evaluation], config: SurveyAnalysis
) -> Analysis:
    """Compare participants with the classifier on the images of the surveys.

    The classifier, too, chooses among the conditions of the survey: the most probable of these.

    Args:
        evaluations: of the cohort whose images the surveys show, of its fold "test" or, by ensembles of other
            patients, of all, so that none has been trained on them; one, or as published one for each view.

    Raises:
        UserError: no answer, no complete sheet, another cohort than the surveys', images judged out of
            fold, an ensemble of pairs, or an image that two ensembles judge.
    """
    if answers.rows.empty and not answers.left_out:
        raise UserError(f"No answer in {answers.files} files: they have a header and no line below it.")
    if answers.rows.empty:
        raise UserError(f"No complete sheet among {answers.files} files. {' '.join(answers.left_out[:10])}")
    predicted: dict[str, str] = {}
    for evaluation in evaluations:
        chosen = _choices(surveys, evaluation)
        twice = sorted(chosen.keys() & predicted.keys())
        if twice:
            raise UserError(
                f"Two ensembles judge {len(twice)} of the images, e.g. {twice[0]}; give one a view."
            )
        predicted |= chosen
    judged = judged_answers(answers.rows, surveys, predicted)
    return Analysis(surveys, answers, judged, compare(judged, config.replicates, config.seed))


def _choices(surveys: Surveys, evaluation: Evaluation) -> dict[str, str]:
    """What the classifier chooses among the survey's conditions, by image file."""
    facts = evaluation.facts
    if facts.get("rows") == "out_of_fold" or facts.get("cohort_digest") != surveys.cohort_digest:
        raise UserError(
            f"The surveys show test images of the cohort with digest {surveys.cohort_digest}, the classifier "
            f"judged rows '{facts.get('rows')}' of {facts.get('cohort_digest')}. Give the cohort, with the "
            "split, that the surveys were built from."
        )
    if evaluation.facts.get("judged") == "pairs":
        raise UserError(
            "The surveys show single images, but this ensemble judges pairs of them; give an ensemble of "
            "single images, or one for each view."
        )
    choices = np.array([evaluation.conditions.index(condition) for condition in surveys.conditions])
    best = evaluation.prediction.combined[:, choices].argmax(axis=1)
    return {file: surveys.conditions[k] for file, k in zip(evaluation.files, best, strict=True)}


def views_answered(analysis: Analysis) -> list[str]:
    """The single views of which there are answers, in their order."""
    return [view for view in SURVEY_VIEWS if (analysis.judged["view"] == view).any()]


def _summary_row(comparison: Comparison) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: getattr(comparison, name)
        for name in ("view", "specialty", "participants", "sheets", "images", "answers")
    }
    row["surveys"] = len(comparison.per_survey)
    for name in ("clinicians", "classifier", "difference"):
        estimate: Estimate = getattr(comparison, name)
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    test = comparison.test
    row |= {"mean_of_surveys": test.mean.value if test else float("nan")}
    row |= {f"t_{end}": getattr(test.mean, end) if test else float("nan") for end in ("low", "high")}
    fields = {"deviation": "deviation", "t": "statistic", "df": "freedom", "p": "p"}
    values = asdict(test) if test else {}
    return row | {name: values.get(field, float("nan")) for name, field in fields.items()}
