"""Classifier against clinicians on the same images: differences with intervals, tests, agreement."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

from morphoscope.classify.survey.agreement import Agreement, agreement, one_way_agreement
from morphoscope.classify.survey.building import SURVEY_VIEWS, Surveys
from morphoscope.configs import UserError
from morphoscope.runtime.statistics import Estimate, draw_groups

BOTH, ALL = "both", "all"  # views; specialties


class Accuracies(NamedTuple):
    """Accuracies in [0, 1], and their difference (classifier - clinicians) in [-1, 1]."""

    clinicians: Estimate
    classifier: Estimate
    difference: Estimate


@dataclass(frozen=True)
class PairedTest:
    """A two-sided paired t-test of the surveys' differences (classifier - clinicians).

    Attributes:
        mean: of the differences, in [-1, 1], with the t interval.
        standard_deviation: of the differences.
        t, degrees_of_freedom, p: the test statistic, its degrees of freedom, and the two-sided p value.
    """

    mean: Estimate
    standard_deviation: float
    t: float
    degrees_of_freedom: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """Results for the images of one view and the participants of one specialty.

    Attributes:
        view: "focused", "panoramic" or "both".
        specialty: a specialty, or "all".
        participants, images, answers: how many there are.
        sheets: number of sheets; a sheet is one participant's answers to one survey.
        accuracies: over all answers, with two-way bootstrap intervals.
        per_survey: one row per survey: survey, sheets, answers, clinicians, classifier, difference.
        test: None if fewer than two surveys were answered, or if their differences are all the same.
        agreement: of the participants as raters: of the sheets' accuracies, with surveys as subjects; None
            for the reason in `agreement_note`.
    """

    view: str
    specialty: str
    participants: int
    sheets: int
    images: int
    answers: int
    accuracies: Accuracies
    per_survey: pd.DataFrame
    test: PairedTest | None
    agreement: Agreement | None
    agreement_note: str


class Subset(NamedTuple):
    """Scored answers to images of one view ("both": all) by participants of one specialty ("all": all)."""

    view: str
    specialty: str
    answers: pd.DataFrame


def score_answers(answers: pd.DataFrame, surveys: Surveys, predicted: dict[str, str]) -> pd.DataFrame:
    """Compare answers and predictions with the true conditions.

    Args:
        answers: `Answers.rows`.
        predicted: condition predicted by the classifier, by image file.

    Returns:
        The answers with the columns view, file, condition (the truth), group, predicted, and right and
        classifier_right (bool).

    Raises:
        UserError: the classifier has no prediction for an image of the surveys.
    """
    missing = sorted(set(surveys.key["file"]) - set(predicted))
    if missing:
        raise UserError(
            f"{len(missing)} images of the surveys are not among those that the ensembles predicted, e.g. "
            f"{missing[0]}. Give the cohort that the surveys were built from, or an ensemble for each view."
        )
    scored = answers.merge(surveys.key, on=["survey", "position"], validate="many_to_one")
    scored["predicted"] = scored["file"].map(predicted)
    scored["right"] = scored["answer"] == scored["condition"]
    scored["classifier_right"] = scored["predicted"] == scored["condition"]
    return scored


def compare(scored: pd.DataFrame, replicates: int = 2000, seed: int = 0) -> list[Comparison]:
    """Compare classifier and clinicians, in the order of `subsets`.

    Args:
        scored: as `score_answers` returns them; at least one row.
        replicates, seed: of the bootstrap.
    """
    return [_compare_subset(subset, replicates, seed) for subset in subsets(scored)]


def subsets(scored: pd.DataFrame) -> Iterator[Subset]:
    """The subsets that are reported: both views, then each; of each all participants, then each specialty."""
    for view in (BOTH, *SURVEY_VIEWS):
        of_view = scored if view == BOTH else scored[scored["view"] == view]
        for specialty in (ALL, *sorted(set(of_view["specialty"]))):
            yield Subset(
                view,
                specialty,
                of_view if specialty == ALL else of_view[of_view["specialty"] == specialty],
            )


def two_way_bootstrap(scored: pd.DataFrame, replicates: int, seed: int) -> Accuracies:
    """Accuracies with 95% percentile intervals.

    Each replicate draws patients (with all their images) and, independently, participants (with all their
    answers), with replacement. An answer is weighted by the number of times its patient was drawn times that
    of its participant (the pigeonhole bootstrap, Owen 2007, whose intervals tend to be too wide). Neither
    an image seen by many participants nor a participant with many answers counts as independent evidence.
    """
    rater, raters = pd.factorize(scored["participant"])
    patient, patients = pd.factorize(scored["group"])
    random = np.random.default_rng(seed)
    rater_weights = _bootstrap_weights(len(raters), replicates, random)
    patient_weights = _bootstrap_weights(len(patients), replicates, random)

    def weighted_sums(values: np.ndarray) -> np.ndarray:
        table = np.zeros((len(raters), len(patients)))
        np.add.at(table, (rater, patient), values)
        return ((rater_weights @ table) * patient_weights).sum(axis=1)

    correct, predicted = (scored[name].to_numpy(np.float64) for name in ("right", "classifier_right"))
    answers = weighted_sums(np.ones(len(scored)))
    some = answers > 0  # a replicate may draw only participants who saw none of its patients
    clinicians, classifier = (weighted_sums(values)[some] / answers[some] for values in (correct, predicted))
    return Accuracies(
        _percentile_interval(correct.mean(), clinicians),
        _percentile_interval(predicted.mean(), classifier),
        _percentile_interval(predicted.mean() - correct.mean(), classifier - clinicians),
    )


def _percentile_interval(value: float, replicates: np.ndarray) -> Estimate:
    low, high = np.quantile(replicates, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def _bootstrap_weights(total: int, replicates: int, random: np.random.Generator) -> np.ndarray:
    """How often each of `total` units is drawn in each replicate: float64 [replicates, total]."""
    return draw_groups(total, replicates, random).astype(np.float64)


def _compare_subset(subset: Subset, replicates: int, seed: int) -> Comparison:
    answers = subset.answers
    per_survey = _per_survey(answers)
    agreed, note = _agreement(answers)
    return Comparison(
        view=subset.view,
        specialty=subset.specialty,
        participants=answers["participant"].nunique(),
        sheets=int(per_survey["sheets"].sum()),
        images=answers["file"].nunique(),
        answers=len(answers),
        accuracies=two_way_bootstrap(answers, replicates, seed),
        per_survey=per_survey,
        test=paired_test(per_survey["classifier"].to_numpy(), per_survey["clinicians"].to_numpy()),
        agreement=agreed,
        agreement_note=note,
    )


def _per_survey(scored: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of each survey over all its answers, so that each image weighs the same on both sides."""
    by_survey = scored.groupby("survey")
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
    """Two-sided paired t-test of `first` - `second`, both [n].

    Returns:
        None for n < 2, or if the differences are all the same.
    """
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


def _agreement(scored: pd.DataFrame) -> tuple[Agreement | None, str]:
    """Agreement of the sheets' accuracies, and which sheets were used, or None and why there is none.

    Subjects are surveys, raters the participants who answered them. If the same participants answered every
    survey, all forms of the ICC are defined. Otherwise only ICC(1,1) is, from all sheets of the surveys that
    at least two participants answered. Neither depends on the participants' codes or their order.
    """
    sheets = scored.groupby(["survey", "participant"])["right"].mean()
    several = sheets[sheets.groupby("survey").transform("size") >= 2]
    if several.index.get_level_values("survey").nunique() < 2:
        return None, "fewer than two surveys were answered by two participants"
    if np.ptp(several) == 0:
        return None, "all sheets have the same accuracy"
    used = f"{len(several)} of {len(sheets)} sheets"
    table = sheets.unstack("participant")
    if table.notna().all(axis=None):
        return agreement(table.to_numpy()), f"{used}, by the same participants"
    found = one_way_agreement([own.to_numpy() for _, own in several.groupby("survey")])
    return found, f"{used}, by different participants"
