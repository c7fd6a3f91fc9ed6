"""From answers to a report: errors, files written, and numbers that follow from the answers."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify import Evaluation, Prediction
from morphoscope.classify.survey.analysis import Analysis, analyse
from morphoscope.classify.survey.answers import read_answers
from morphoscope.classify.survey.building import Surveys
from morphoscope.classify.survey.report import write_analysis
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.survey import SurveyAnalysis

CONFIG = SurveyAnalysis(replicates=100)


@pytest.fixture
def evaluation(paired: Cohort) -> Evaluation:
    """The classifier prefers a condition outside the survey; its second choice is correct 3 times in 4."""
    rows = paired.rows[paired.rows["fold"] == "test"]
    conditions = ["AAA", *paired.conditions]
    truth = np.array([conditions.index(c) for c in rows["condition"]])
    second = np.where(np.arange(len(truth)) % 4 == 0, 1 + truth % 3, truth)
    combined = np.zeros((len(truth), 4), np.float32)
    combined[:, 0] = 0.6
    combined[np.arange(len(truth)), second] = 0.4
    prediction = Prediction(conditions, combined[None], combined, np.zeros(len(truth), bool))
    facts = {"rows": "test", "cohort_digest": paired.digest, "phantom": True}
    return Evaluation(
        conditions, rows["file"].to_numpy(), truth, rows["group"].to_numpy(dtype=str), prediction, facts
    )


@pytest.fixture
def analysis(fill, saved, surveys: Surveys, evaluation: Evaluation) -> Analysis:
    tables = [
        fill(f"{s[:3]}{i}", 1 + i % 4, specialty=s, wrong=wrong, seed=i)
        for s, wrong in [("pediatrics", 0.6), ("genetics", 0.4)]
        for i in range(8)
    ]
    answers = read_answers(saved(*tables, fill("lazy", skipped=(1, 2, 3))), surveys)
    return analyse(surveys, answers, [evaluation], CONFIG)


def test_classifier_chooses_among_the_conditions_of_the_survey(analysis: Analysis) -> None:
    assert set(analysis.scored["predicted"]) <= set(analysis.surveys.conditions)
    assert analysis.comparisons[0].accuracies.classifier.value > 0.5


def test_confusion_matrices_count_the_answers(analysis: Analysis) -> None:
    for view in ("focused", "panoramic"):
        clinicians, classifier = (analysis.confusion(view, c) for c in ("answer", "predicted"))
        assert (clinicians.sum(axis=1) == classifier.sum(axis=1)).all()  # the same images
        found = next(c for c in analysis.comparisons if (c.view, c.specialty) == (view, "all"))
        assert np.trace(clinicians) / clinicians.sum() == pytest.approx(found.accuracies.clinicians.value)
        assert np.trace(classifier) / classifier.sum() == pytest.approx(found.accuracies.classifier.value)


def test_everything_is_written(analysis: Analysis, tmp_path: Path) -> None:
    report = write_analysis(analysis, tmp_path / "run", [{"cohort": "paired"}])
    assert sorted(path.name for path in report.parent.iterdir()) == [
        "agreement.csv",
        "analysis.json",
        "answers.csv",
        "confidence.csv",
        *(f"confusion-{v}-{w}.png" for v in ("focused", "panoramic") for w in ("classifier", "clinicians")),
        "experience.csv",
        "power.csv",
        "published.csv",
        "report.html",
        "summary.csv",
        "surveys.csv",
    ]
    html = report.read_text()
    assert "Left out: lazy, survey 1: 9 of 12 questions answered" in html
    assert "these results say nothing about patients" in html
    assert len(re.findall("<img ", html)) == 3 + 4
    content = json.loads((report.parent / "analysis.json").read_text())
    assert content["counts"]["participants"] == 16 and content["counts"]["answers"] == 16 * 12
    assert content["counts"]["sheets left out as incomplete"] == 1
    first = content["summary"][0]
    assert (first["view"], first["specialty"], first["surveys"], first["df"]) == ("both", "all", 4, 3)
    assert first["difference"] == pytest.approx(first["classifier"] - first["clinicians"])
    assert {row["quantity"] for row in content["published"]} >= {"ICC", "accuracy of the classifier"}
    sure = pd.DataFrame(content["confidence"]).query("specialty == 'all' and confidence == '3'")
    both = sure.set_index("view").loc["both"]
    assert both["answers"] == 16 * 12 and both["accuracy"] == pytest.approx(first["clinicians"])
    assert {row["years"] for row in content["experience"]} == {"5 to 14 years"}
    assert "Accuracy by confidence" in html and "Accuracy by years in practice" in html
    power = pd.read_csv(report.parent / "power.csv")
    assert list(power["view"].unique()) == ["both", "focused", "panoramic"]
    assert (power["surveys_for_90%"] >= power["surveys_for_80%"]).all()
    assert set(pd.read_csv(report.parent / "agreement.csv")["form"]) == {"ICC(1,1)", "ICC(A,1)", "ICC(C,1)"}


def test_one_participant_gives_a_report_without_tests(
    fill, saved, surveys: Surveys, evaluation: Evaluation, tmp_path: Path
) -> None:
    silent = fill("a", wrong=0.5, years="", confidence="")
    analysis = analyse(surveys, read_answers(saved(silent), surveys), [evaluation], CONFIG)
    html = write_analysis(analysis, tmp_path / "run", []).read_text()
    assert "Accuracy by confidence" not in html and not (tmp_path / "run" / "confidence.csv").exists()
    assert "Number of participants: 1." in html and "Not computed: fewer than two surveys" in html
    summary = json.loads((tmp_path / "run" / "analysis.json").read_text())["summary"]
    assert summary[0]["p"] is None


def test_what_does_not_fit_the_surveys_is_an_error(
    fill, saved, surveys: Surveys, evaluation: Evaluation
) -> None:
    folder = saved(fill("a", skipped=tuple(range(1, 8))))
    with pytest.raises(UserError, match=r"No complete sheet in 1 files\. a, survey 1: 5 of 12"):
        analyse(surveys, read_answers(folder, surveys), [evaluation], CONFIG)
    with pytest.raises(UserError, match=r"No answers in 1 file"):
        nothing = read_answers(saved(fill("a").iloc[:0]).joinpath("001.csv"), surveys)
        analyse(surveys, nothing, [evaluation], CONFIG)
    answers = read_answers(saved(fill("b")).joinpath("002.csv"), surveys)
    for facts in ({"rows": "out_of_fold"}, {"cohort_digest": "0" * 16}):
        other = Evaluation(**{**vars(evaluation), "facts": {**evaluation.facts, **facts}})
        with pytest.raises(UserError, match="Give the cohort, with the split"):
            analyse(surveys, answers, [other], CONFIG)
    pairs = Evaluation(**{**vars(evaluation), "facts": {**evaluation.facts, "judged": "pairs"}})
    with pytest.raises(UserError, match="this ensemble predicts pairs"):
        analyse(surveys, answers, [pairs], CONFIG)


def part(evaluation: Evaluation, chosen: np.ndarray) -> Evaluation:
    """Of some of the images only."""
    whole = evaluation.prediction
    prediction = Prediction(
        whole.conditions, whole.per_fold[:, chosen], whole.combined[chosen], whole.unsure[chosen]
    )
    images = {name: getattr(evaluation, name)[chosen] for name in ("files", "truth", "groups")}
    return Evaluation(**{**vars(evaluation), **images, "prediction": prediction})


def test_an_ensemble_for_each_view_predicts_its_own_images(
    fill, saved, surveys: Surveys, evaluation: Evaluation, paired
) -> None:
    views = paired.rows.set_index("file")["view"]
    focused = (views[evaluation.files] == "focused").to_numpy()
    both = [part(evaluation, focused), part(evaluation, ~focused)]
    answers = read_answers(saved(fill("a"), fill("b")), surveys)
    one, two = (analyse(surveys, answers, given, CONFIG).scored for given in ([evaluation], both))
    assert one.equals(two)
    with pytest.raises(UserError, match="an ensemble for each view"):
        analyse(surveys, answers, both[:1], CONFIG)
    with pytest.raises(UserError, match="Two ensembles predict"):
        analyse(surveys, answers, [*both, evaluation], CONFIG)
