"""The report of a survey: its files, and numbers that follow from the answers."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from morphoscope.classify import Evaluation
from morphoscope.classify.survey.analysis import Analysis, analyse
from morphoscope.classify.survey.answers import read_answers
from morphoscope.classify.survey.building import Surveys
from morphoscope.classify.survey.report import write_analysis
from morphoscope.configs.survey import SurveyAnalysis

CONFIG = SurveyAnalysis(replicates=100)


def test_everything_is_written(analysis: Analysis, tmp_path: Path) -> None:
    report = write_analysis(analysis, tmp_path / "run", [{"cohort": "paired"}])
    assert sorted(path.name for path in report.parent.iterdir()) == [
        "agreement.csv",
        "analysis.json",
        "answers.csv",
        "confidence.csv",
        *(
            f"confusion-{view}-{who}.{kind}"
            for view in ("focused", "panoramic")
            for who in ("classifier", "clinicians")
            for kind in ("csv", "pdf", "png", "svg")
        ),
        "experience.csv",
        "groups.csv",
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
    icc = pd.read_csv(report.parent / "agreement.csv")
    groups, participants = (icc[icc["design"] == design] for design in ("groups", "participants"))
    assert set(groups["form"]) == {"ICC(1,1)", "ICC(A,1)", "ICC(C,1)"} and len(groups) == 9
    assert set(groups["raters"]) == {"classifier, genetics, pediatrics"}
    assert set(participants["form"]) == {"ICC(1,1)"}
    assert "classifier and specialties as raters" in html and "participants as raters" in html
    tests = pd.read_csv(report.parent / "groups.csv")
    assert tests["within"].tolist() == [
        *("both", "focused", "panoramic"),
        *("classifier", "genetics", "pediatrics", "all clinicians"),
    ]


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
