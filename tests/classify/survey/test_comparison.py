"""Classifier against simulated clinicians, whose accuracy and difference are known."""

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify.survey.agreement import agreement
from morphoscope.classify.survey.answers import read_answers
from morphoscope.classify.survey.building import Surveys
from morphoscope.classify.survey.comparison import compare, paired_test, score_answers, two_way_bootstrap
from morphoscope.configs import UserError


def simulated(
    random: np.random.Generator, patients: int = 24, raters: int = 10, seen: int = 12
) -> pd.DataFrame:
    """Clinicians with an accuracy of 50%, and a classifier that is 30 percentage points better.

    Some images are harder than others, and some clinicians better than others.
    """
    hardness, skill = random.uniform(-0.2, 0.2, patients), random.uniform(-0.2, 0.2, raters)
    classifier = random.random(patients) < 0.8 + random.uniform(-0.2, 0.2, patients)
    rows = []
    for rater in range(raters):
        for patient in random.choice(patients, seen, replace=False):
            right = random.random() < 0.5 + hardness[patient] + skill[rater]
            row = {"participant": f"r{rater}", "group": f"g{patient}", "right": right}
            rows.append({**row, "classifier_right": bool(classifier[patient])})
    return pd.DataFrame(rows)


def test_interval_covers_the_known_difference() -> None:
    random = np.random.default_rng(0)
    intervals = [two_way_bootstrap(simulated(random), 200, 0).difference for _ in range(120)]
    covered = np.mean([found.low <= 0.3 <= found.high for found in intervals])
    assert 0.91 <= covered <= 1
    assert np.mean([found.high - found.low for found in intervals]) < 0.6  # and is informative
    assert np.mean([found.value for found in intervals]) == pytest.approx(0.3, abs=0.03)


def test_repeated_answers_are_not_independent_evidence() -> None:
    rows = simulated(np.random.default_rng(1))
    width = lambda found: found.high - found.low  # noqa: E731
    once = two_way_bootstrap(rows, 1000, 0).difference
    often = two_way_bootstrap(pd.concat([rows] * 20), 1000, 0).difference  # same images, same raters
    assert width(often) == pytest.approx(width(once), rel=1e-6)
    more_raters = pd.concat([rows.assign(participant=rows["participant"] + f"-{i}") for i in range(20)])
    crowd = two_way_bootstrap(more_raters, 1000, 0)
    assert width(crowd.classifier) > 0.15  # there are still only 24 patients
    assert width(crowd.difference) < width(once)


def test_paired_test_has_its_known_value() -> None:
    # Student 1908: additional hours of sleep of ten patients, one drug against the other.
    one = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    other = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    found = paired_test(other, one)
    assert found is not None
    assert (found.t, found.degrees_of_freedom) == (pytest.approx(4.0621, abs=5e-5), 9)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.mean == pytest.approx((1.58, 0.7001, 2.4599), abs=5e-5)
    assert found.standard_deviation == pytest.approx(1.229995, abs=5e-7)


def test_no_paired_test_if_all_differences_are_the_same() -> None:
    assert paired_test(np.array([0.5]), np.array([0.4])) is None
    assert paired_test(np.array([0.5, 0.7]), np.array([0.4, 0.6])) is None


@pytest.fixture
def scored(fill, saved, surveys: Surveys) -> pd.DataFrame:
    """Three participants per survey, geneticists more accurate; the classifier errs on every fourth image."""
    tables = [
        fill(f"{specialty[:2]}{survey}{i}", survey, specialty=specialty, wrong=wrong, seed=10 * survey + i)
        for survey in range(1, 5)
        for i, (specialty, wrong) in enumerate([("pediatrics", 0.6), ("pediatrics", 0.6), ("genetics", 0.3)])
    ]
    truth = surveys.key.drop_duplicates("file").set_index("file")["condition"].to_dict()
    wrong = dict(zip(surveys.conditions, np.roll(surveys.conditions, 1), strict=True))
    predicted = {file: wrong[c] if i % 4 == 0 else c for i, (file, c) in enumerate(truth.items())}
    return score_answers(read_answers(saved(*tables), surveys).rows, surveys, predicted)


def test_views_and_specialties(scored: pd.DataFrame) -> None:
    found = {(c.view, c.specialty): c for c in compare(scored, replicates=200)}
    assert set(found) == {
        (v, s) for v in ("both", "focused", "panoramic") for s in ("all", "genetics", "pediatrics")
    }
    whole = found["both", "all"]
    assert (whole.participants, whole.sheets, whole.answers, whole.images) == (
        12,
        12,
        144,
        scored["file"].nunique(),
    )
    assert whole.accuracies.clinicians.value == pytest.approx(scored["right"].mean())
    assert whole.accuracies.difference.value == pytest.approx(
        whole.accuracies.classifier.value - whole.accuracies.clinicians.value
    )
    assert found["both", "genetics"].accuracies.clinicians > found["both", "pediatrics"].accuracies.clinicians
    assert found["focused", "all"].answers == found["panoramic", "all"].answers == 72
    for comparison in found.values():
        difference = comparison.accuracies.difference
        assert difference.low <= difference.value <= difference.high


def test_surveys_are_the_units_of_the_test(scored: pd.DataFrame) -> None:
    whole = compare(scored, replicates=100)[0]
    assert whole.per_survey["survey"].tolist() == [1, 2, 3, 4] and set(whole.per_survey["sheets"]) == {3}
    first = scored[scored["survey"] == 1]
    assert whole.per_survey["clinicians"][0] == pytest.approx(first["right"].mean())
    assert whole.test is not None and whole.test.degrees_of_freedom == 3
    assert whole.test.mean.value == pytest.approx(whole.per_survey["difference"].mean())


def test_agreement_uses_every_sheet_of_surveys_with_two(scored: pd.DataFrame) -> None:
    found = {(c.view, c.specialty): c for c in compare(scored, replicates=100)}
    whole = found["both", "all"]
    assert whole.agreement is not None and (whole.agreement.subjects, whole.agreement.raters) == (4, 3)
    assert whole.agreement_note == "12 of 12 sheets, by different participants"
    assert whole.agreement.absolute is whole.agreement.consistency is None
    alone = found["both", "genetics"]
    assert alone.agreement is None and "fewer than two surveys" in alone.agreement_note
    fewer = scored[scored["participant"] != scored["participant"][0]]
    most = compare(fewer, replicates=100)[0]
    assert most.agreement is not None and (most.agreement.subjects, most.agreement.raters) == (4, 2.75)
    assert most.agreement_note == "11 of 11 sheets, by different participants"


def test_agreement_does_not_change_when_participants_are_renamed(scored: pd.DataFrame) -> None:
    fewer = scored[scored["participant"] != scored["participant"][0]]
    names = fewer["participant"].unique()
    # Whoever answered a survey last is called first.
    renamed = fewer.assign(
        participant=fewer["participant"].map(dict(zip(names, sorted(names, reverse=True), strict=True)))
    )
    crossed = crossing(np.random.default_rng(0))
    flipped = crossed.assign(participant=crossed["participant"].map({"a": "c", "b": "a", "c": "b"}))
    for one, other in ((fewer, renamed), (crossed, flipped)):
        first, second = (compare(rows, replicates=50) for rows in (one, other))
        for before, after in zip(first, second, strict=True):
            assert (before.agreement is None) == (after.agreement is None)
            if before.agreement is not None and after.agreement is not None:
                assert before.agreement.forms.keys() == after.agreement.forms.keys()
                for form, estimate in before.agreement.forms.items():
                    assert estimate == pytest.approx(after.agreement.forms[form])


def crossing(random: np.random.Generator) -> pd.DataFrame:
    """Three participants who all answered five surveys of 8 questions."""
    rows = [
        {
            "survey": survey,
            "position": position,
            "participant": name,
            "specialty": "genetics" if name == "c" else "pediatrics",
            "view": ("focused", "panoramic")[position % 2],
            "file": f"{survey}-{position}",
            "group": f"{survey}-{position}",
            "right": random.random() < 0.3 + 0.1 * survey,
            "classifier_right": random.random() < 0.8,
        }
        for survey in range(5)
        for position in range(8)
        for name in "abc"
    ]
    return pd.DataFrame(rows)


def test_the_same_participants_in_every_survey_have_all_forms_of_agreement() -> None:
    rows = crossing(np.random.default_rng(1))
    whole = compare(rows, replicates=50)[0]
    table = rows.pivot_table(index="survey", columns="participant", values="right", aggfunc="mean")
    assert whole.agreement == agreement(table.to_numpy())
    assert whole.agreement_note == "15 of 15 sheets, by the same participants"


def test_images_without_a_prediction_are_named(scored: pd.DataFrame, surveys: Surveys) -> None:
    with pytest.raises(UserError, match=r"not among those that the ensembles predicted, e\.g\. "):
        score_answers(scored, surveys, {})
