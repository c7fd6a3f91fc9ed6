"""Classifier against clinicians on the same images: differences with intervals, tests, agreement."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

from morphoscope.classify.survey.agreement import Agreement, agreement
from morphoscope.classify.survey.building import SURVEY_VIEWS, Surveys
from morphoscope.configs import UserError
from morphoscope.runtime.statistics import Estimate

BOTH, ALL = "both", "all"  # views; specialties


@dataclass(frozen=True)
class PairedTest:
    """A two-sided paired t-test of the surveys' differences (classifier - clinicians).

    Attributes:
        mean: of the differences, with the t interval; shares in [-1, 1].
        deviation: standard deviation of the differences.
        statistic, freedom, p: t, degrees of freedom, two-sided p.
    """

    mean: Estimate
    deviation: float
    statistic: float
    freedom: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """What the answers to images of one view, by participants of one specialty, show.

    Attributes:
        view, specialty: "focused", "panoramic" or "both"; a specialty or "all".
        participants, sheets, images, answers: how many there are. A sheet is one participant's answers to one
            survey.
        clinicians, classifier: accuracies over the answers, with two-way bootstrap intervals.
        difference: classifier - clinicians, likewise.
        per_survey: survey, sheets, answers, clinicians, classifier, difference; one row a survey.
        test: None where fewer than two surveys were answered, or their differences are all the same.
        agreement: of the sheets' accuracies, [surveys, sheets of each]; None where
            `agreement_note` says why.
    """

    view: str
    specialty: str
    participants: int
    sheets: int
    images: int
    answers: int
    clinicians: Estimate
    classifier: Estimate
    difference: Estimate
    per_survey: pd.DataFrame
    test: PairedTest | None
    agreement: Agreement | None
    agreement_note: str


def judged_answers(answers: pd.DataFrame, surveys: Surveys, predicted: dict[str, str]) -> pd.DataFrame:
    """Put answers, truth and the classifier's choices side by side.

    Args:
        answers: `Answers.rows`.
        predicted: the classifier's condition for each image file.

    Returns:
        The answers with view, file, condition (the truth), group, predicted, and right and classifier_right
        (bool).

    Raises:
        UserError: the classifier did not judge an image of the surveys.
    """
    lacking = sorted(set(surveys.key["file"]) - set(predicted))
    if lacking:
        raise UserError(
            f"{len(lacking)} images of the surveys are no test images of this cohort, e.g. {lacking[0]}; or "
            "their view needs an ensemble of its own: give one a view."
        )
    judged = answers.merge(surveys.key, on=["survey", "position"], validate="many_to_one")
    judged["predicted"] = judged["file"].map(predicted)
    judged["right"] = judged["answer"] == judged["condition"]
    judged["classifier_right"] = judged["predicted"] == judged["condition"]
    return judged


def compare(judged: pd.DataFrame, replicates: int = 2000, seed: int = 0) -> list[Comparison]:
    """Compare in both views and in each, for all participants and for each specialty.

    Args:
        judged: as `judged_answers` returns them; at least one row.
        replicates, seed: of the bootstrap.
    """
    return [_compare_rows(view, specialty, rows, replicates, seed) for view, specialty, rows in parts(judged)]


def parts(judged: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """View, specialty and rows of what is told apart: both views and each, all participants and each kind."""
    for view in (BOTH, *SURVEY_VIEWS):
        seen = judged if view == BOTH else judged[judged["view"] == view]
        for specialty in (ALL, *sorted(set(seen["specialty"]))):
            yield view, specialty, seen if specialty == ALL else seen[seen["specialty"] == specialty]


def two_way_bootstrap(judged: pd.DataFrame, replicates: int, seed: int) -> dict[str, Estimate]:
    """Accuracies of "clinicians" and "classifier" and their "difference", with 95% percentile intervals.

    Each replicate draws patients (with all their images) and, independently, participants (with all their
    answers), with replacement; an answer counts as often as its patient times as often as its participant was
    drawn (the pigeonhole bootstrap, Owen 2007, which errs towards wider intervals). So neither an image seen
    by many nor a participant with many answers counts as independent evidence.
    """
    rater, raters = pd.factorize(judged["participant"])
    patient, patients = pd.factorize(judged["group"])
    tables = {
        "answers": np.ones(len(judged)),
        "clinicians": judged["right"],
        "classifier": judged["classifier_right"],
    }
    random = np.random.default_rng(seed)
    drawn_raters = _drawn(len(raters), replicates, random)
    drawn_patients = _drawn(len(patients), replicates, random)
    sums = {}
    for name, values in tables.items():
        table = np.zeros((len(raters), len(patients)))
        np.add.at(table, (rater, patient), np.asarray(values, np.float64))
        sums[name] = ((drawn_raters @ table) * drawn_patients).sum(axis=1)
    some = sums["answers"] > 0  # a replicate may draw participants who saw none of its patients
    shares = {name: sums[name][some] / sums["answers"][some] for name in ("clinicians", "classifier")}
    shares["difference"] = shares["classifier"] - shares["clinicians"]
    values = {name: float(judged[column].mean()) for name, column in _RIGHT.items()}
    values["difference"] = values["classifier"] - values["clinicians"]
    ends = {name: np.quantile(draws, [0.025, 0.975]) for name, draws in shares.items()}
    return {name: Estimate(values[name], float(low), float(high)) for name, (low, high) in ends.items()}


_RIGHT = {"clinicians": "right", "classifier": "classifier_right"}


def _drawn(total: int, replicates: int, random: np.random.Generator) -> np.ndarray:
    """How often each of `total` was drawn: float [replicates, total]."""
    return random.multinomial(total, np.full(total, 1 / total), size=replicates).astype(np.float64)


def _compare_rows(view: str, specialty: str, rows: pd.DataFrame, replicates: int, seed: int) -> Comparison:
    estimates = two_way_bootstrap(rows, replicates, seed)
    per_survey = _per_survey(rows)
    agreed, note = _agreement(rows)
    return Comparison(
        view=view,
        specialty=specialty,
        participants=rows["participant"].nunique(),
        sheets=int(per_survey["sheets"].sum()),
        images=rows["file"].nunique(),
        answers=len(rows),
        **estimates,
        per_survey=per_survey,
        test=paired_test(per_survey["classifier"].to_numpy(), per_survey["clinicians"].to_numpy()),
        agreement=agreed,
        agreement_note=note,
    )


def _per_survey(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of each survey over all its answers, so that both judge the same images equally often."""
    by_survey = rows.groupby("survey")
    table = pd.DataFrame(
        {
            "sheets": by_survey["participant"].nunique(),
            "answers": by_survey.size(),
            "clinicians": by_survey["right"].mean(),
            "classifier": by_survey["classifier_right"].mean(),
        }
    ).reset_index()
    table["difference"] = table["classifier"] - table["clinicians"]
    return table


def paired_test(first: np.ndarray, second: np.ndarray) -> PairedTest | None:
    """Two-sided paired t-test of [n] against [n]; None for n < 2 or differences that are all the same."""
    differences = first - second
    if len(differences) < 2 or np.ptp(differences) < 1e-12:
        return None
    result = ttest_rel(first, second)
    low, high = result.confidence_interval(0.95)
    return PairedTest(
        Estimate(float(differences.mean()), float(low), float(high)),
        float(differences.std(ddof=1)),
        float(result.statistic),
        int(result.df),
        float(result.pvalue),
    )


def _agreement(rows: pd.DataFrame) -> tuple[Agreement | None, str]:
    """ICCs of the sheets' accuracies: subjects are surveys, raters the sheets of each, as many for all.

    Where surveys have different numbers of sheets, each gives those of its first participants by code, as
    many as the survey with the fewest has; surveys with a single sheet are left out.
    """
    sheets = rows.groupby(["survey", "participant"])["right"].mean()
    counts = sheets.groupby("survey").size()
    several = counts[counts >= 2]
    if len(several) < 2:
        return None, "fewer than two surveys were answered by two participants"
    raters = int(several.min())
    table = np.array([sheets[survey].sort_index().to_numpy()[:raters] for survey in several.index])
    if np.ptp(table) == 0:
        return None, "all sheets have the same accuracy"
    return agreement(table), f"{table.size} of {len(sheets)} sheets"
