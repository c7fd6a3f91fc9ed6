"""Classifier and specialties as raters: the published agreement, and tests between specialties and views."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from morphoscope.classify.survey.agreement import agreement
from morphoscope.classify.survey.groups import group_agreements, group_tests


@pytest.fixture
def scored() -> pd.DataFrame:
    """Six surveys of 10 questions per view, two pediatricians and one geneticist each; the last has none."""
    random = np.random.default_rng(0)
    rows = []
    for survey in range(6):
        classifier = random.random(20) < 0.8
        for number, specialty in enumerate(
            ["pediatrics", "pediatrics", "genetics"][: 2 if survey == 5 else 3]
        ):
            for position in range(20):
                rows.append(
                    {
                        "survey": survey,
                        "position": position,
                        "participant": f"{survey}-{number}",
                        "specialty": specialty,
                        "view": "focused" if position < 10 else "panoramic",
                        "right": random.random() < 0.4 + 0.1 * (position < 10) + 0.2 * (number == 2),
                        "classifier_right": classifier[position],
                    }
                )
    return pd.DataFrame(rows)


def table(scored: pd.DataFrame, view: str) -> np.ndarray:
    """Accuracies of classifier, genetics and pediatrics, [5, 3], computed the long way."""
    rows = []
    for survey in range(5):
        own = scored[(scored["survey"] == survey) & (scored["view"] == view)]
        one = own[own["participant"] == f"{survey}-0"]
        by = [own[own["specialty"] == name]["right"].mean() for name in ("genetics", "pediatrics")]
        rows.append([one["classifier_right"].mean(), *by])
    return np.array(rows)


def test_the_raters_of_the_published_agreement_are_classifier_and_specialties(scored: pd.DataFrame) -> None:
    both, focused, panoramic = group_agreements(scored)
    assert (both.view, focused.view, panoramic.view) == ("both", "focused", "panoramic")
    assert focused.raters == ["classifier", "genetics", "pediatrics"]
    assert focused.note == "5 of 6 surveys"
    for found in (focused, panoramic):
        wanted = agreement(table(scored, found.view))
        assert found.agreement is not None
        for form, estimate in wanted.forms.items():
            assert found.agreement.forms[form] == pytest.approx(estimate)
    renamed = scored.assign(participant=scored["participant"].str[::-1]).sort_values("participant")
    for before, after in zip((both, focused, panoramic), group_agreements(renamed), strict=True):
        assert before.agreement is not None and after.agreement is not None
        assert before.agreement.absolute == pytest.approx(after.agreement.absolute)


def test_specialties_are_compared_on_the_same_surveys(scored: pd.DataFrame) -> None:
    focused = next(one for one in group_tests(scored) if one.within == "focused")
    assert (focused.first, focused.second, focused.surveys) == ("genetics", "pediatrics", 5)
    accuracies = table(scored, "focused")
    wanted = ttest_rel(accuracies[:, 1], accuracies[:, 2])
    assert focused.test is not None
    assert (focused.test.t, focused.test.p) == pytest.approx((wanted.statistic, wanted.pvalue))
    assert focused.first_accuracy == pytest.approx(accuracies[:, 1].mean())


def test_views_are_compared_within_each_group(scored: pd.DataFrame) -> None:
    found = {one.within: one for one in group_tests(scored) if one.first == "focused"}
    assert list(found) == ["classifier", "genetics", "pediatrics", "all clinicians"]
    assert [one.surveys for one in found.values()] == [6, 5, 6, 6]
    genetics = found["genetics"]
    focused, panoramic = table(scored, "focused")[:, 1], table(scored, "panoramic")[:, 1]
    assert genetics.test is not None
    assert genetics.test.mean.value == pytest.approx((focused - panoramic).mean())
    assert genetics.second_accuracy == pytest.approx(panoramic.mean())


def test_without_a_shared_survey_there_is_no_agreement(scored: pd.DataFrame) -> None:
    apart = scored[(scored["specialty"] == "genetics") == (scored["survey"] < 3)]
    for found in group_agreements(apart):
        assert found.agreement is None and "fewer than two surveys" in found.note
    between = [one for one in group_tests(apart) if one.first == "genetics"]
    assert all(one.surveys == 0 and one.test is None for one in between)
