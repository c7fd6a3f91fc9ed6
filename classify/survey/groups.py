"""The classifier and the specialties as raters: their agreement on each view, and tests between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from morphoscope.classify.survey.agreement import Agreement, agreement
from morphoscope.classify.survey.building import SURVEY_VIEWS
from morphoscope.classify.survey.comparison import BOTH, PairedTest, paired_test

CLASSIFIER, CLINICIANS = "classifier", "all clinicians"


@dataclass(frozen=True)
class GroupAgreement:
    """Agreement of classifier and specialties: each group is one rater, each survey one subject.

    This is the published design (Duong et al. 2022: 30 surveys; classifier, geneticists and pediatricians).

    Attributes:
        view: "focused", "panoramic" or "both".
        raters: names of the groups.
        agreement: of their accuracies in the surveys that all of them answered; None for the reason in
            `note`.
        note: number of surveys used, or why there is no agreement.
    """

    view: str
    raters: list[str]
    agreement: Agreement | None
    note: str


@dataclass(frozen=True)
class GroupTest:
    """A paired t-test over surveys of two accuracies: of two specialties, or of one group in two views.

    Attributes:
        within: what both have in common: the view of two specialties, or the group of two views.
        first, second: what is compared.
        surveys: number of surveys with both.
        first_accuracy, second_accuracy: mean over these surveys, in [0, 1].
        test: of first - second; None if fewer than two surveys have both, or if all differences are the same.
    """

    within: str
    first: str
    second: str
    surveys: int
    first_accuracy: float
    second_accuracy: float
    test: PairedTest | None


def group_agreements(scored: pd.DataFrame) -> list[GroupAgreement]:
    """Agreement of classifier and specialties on both views, then on each; scored as by `score_answers`."""
    return [_agreement(scored, view) for view in (BOTH, *SURVEY_VIEWS)]


def group_tests(scored: pd.DataFrame) -> list[GroupTest]:
    """Each specialty against each other on the same view, then focused against panoramic within each group.

    Args:
        scored: as `score_answers` returns them; at least one row.
    """
    return [*_between_specialties(scored), *_between_views(scored)]


def _between_specialties(scored: pd.DataFrame) -> Iterator[GroupTest]:
    for view in (BOTH, *SURVEY_VIEWS):
        accuracies = _accuracies(_of_view(scored, view)).drop(columns=CLASSIFIER)
        for first, second in combinations(accuracies.columns, 2):
            yield _test(view, first, second, accuracies[first], accuracies[second])


def _between_views(scored: pd.DataFrame) -> Iterator[GroupTest]:
    focused, panoramic = (_accuracies(_of_view(scored, view)) for view in SURVEY_VIEWS)
    for group in focused.columns.intersection(panoramic.columns, sort=False):
        yield _test(group, *SURVEY_VIEWS, focused[group], panoramic[group])
    if scored["specialty"].nunique() > 1:
        both = [_of_view(scored, view).groupby("survey")["right"].mean() for view in SURVEY_VIEWS]
        yield _test(CLINICIANS, *SURVEY_VIEWS, *both)


def _of_view(scored: pd.DataFrame, view: str) -> pd.DataFrame:
    return scored if view == BOTH else scored[scored["view"] == view]


def _accuracies(answers: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in [0, 1] in each survey (index) of classifier and specialties (columns), NaN if none."""
    by_specialty = answers.groupby(["survey", "specialty"])["right"].mean().unstack("specialty")
    shown = answers.drop_duplicates(["survey", "position"])  # the classifier answers each question once
    by_specialty.insert(0, CLASSIFIER, shown.groupby("survey")["classifier_right"].mean())
    return by_specialty.rename_axis(columns=None)


def _agreement(scored: pd.DataFrame, view: str) -> GroupAgreement:
    accuracies = _accuracies(_of_view(scored, view))
    raters, complete = list(accuracies.columns), accuracies.dropna().to_numpy()
    if len(complete) < 2:
        return GroupAgreement(view, raters, None, "fewer than two surveys were answered by every specialty")
    if np.ptp(complete) == 0:
        return GroupAgreement(view, raters, None, "all groups have the same accuracy in every survey")
    return GroupAgreement(view, raters, agreement(complete), f"{len(complete)} of {len(accuracies)} surveys")


def _test(within: str, first: str, second: str, one: pd.Series, other: pd.Series) -> GroupTest:
    pairs = pd.concat([one, other], axis=1, join="inner").dropna().to_numpy(np.float64)
    means = pairs.mean(axis=0) if len(pairs) else np.full(2, np.nan)
    return GroupTest(
        within,
        first,
        second,
        len(pairs),
        float(means[0]),
        float(means[1]),
        paired_test(pairs[:, 0], pairs[:, 1]),
    )
