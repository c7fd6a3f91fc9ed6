"""Accuracy by confidence and experience: counts, intervals and bands of answers with known truth."""

import pandas as pd
import pytest

from morphoscope.classify.survey.self_reports import (
    by_confidence,
    by_experience,
    self_report_sections,
    self_report_table,
)


def scored(rows: list[tuple[str, str, str, str, bool]]) -> pd.DataFrame:
    columns = ["participant", "specialty", "years", "confidence", "right"]
    return pd.DataFrame(rows, columns=columns).assign(view="focused")


SURE = scored(
    [("a", "genetics", "3", "5", number < 21) for number in range(28)]
    + [("b", "genetics", "4.5", "1", number < 3) for number in range(12)]
    + [("c", "pediatrics", "20", "", True)] * 10
)


def test_accuracy_by_confidence_counts_the_answers_of_each_group() -> None:
    found = self_report_table(by_confidence(SURE), "confidence")
    assert set(zip(found["view"], found["specialty"], strict=True)) == {
        (view, specialty) for view in ("both", "focused") for specialty in ("all", "genetics")
    }  # nobody in pediatrics gave a confidence
    rows = found[(found["view"] == "focused") & (found["specialty"] == "genetics")].set_index("confidence")
    assert list(rows.index) == ["1", "5"]
    assert rows["answers"].tolist() == [12, 28] and rows["participants"].tolist() == [1, 1]
    assert rows["few"].tolist() == [True, False]
    sure = rows.loc["5"]
    assert sure["accuracy"] == pytest.approx(0.75)
    assert sure["low"] < 0.2 and sure["high"] > 0.95  # one participant says little of others


@pytest.mark.parametrize(
    ("years", "band"),
    [
        ("0", "under 5 years"),
        ("4.5", "under 5 years"),
        ("5", "5 to 14 years"),
        ("14.9", "5 to 14 years"),
        ("15", "15 years and over"),
        ("80", "15 years and over"),
    ],
)
def test_years_fall_into_three_bands(years: str, band: str) -> None:
    found = by_experience(scored([("a", "genetics", years, "", True)] * 3))
    assert {one.group for one in found} == {band}


def test_experience_is_in_the_order_of_its_bands() -> None:
    table = self_report_table(by_experience(SURE), "years")
    found = table.query("view == 'both' and specialty == 'all'")
    assert found["years"].tolist() == ["under 5 years", "15 years and over"]
    assert found["participants"].tolist() == [2, 1]
    assert found["accuracy"].tolist() == pytest.approx([24 / 40, 1])


def test_sections_have_the_groups_that_occur_and_mark_few_answers() -> None:
    sure, experience = self_report_sections(by_confidence(SURE), by_experience(SURE))
    assert sure.table is not None and experience.table is not None
    assert list(sure.table.columns) == ["view, specialty", "1 (a guess)", "5 (certain)"]
    rows = {row[0]: list(row[1:]) for row in sure.table.rows}
    assert rows["focused, genetics"] == [
        "0.25 (0.01 to 0.81) *\n12 answers from 1",
        "0.75 (0.19 to 0.98)\n28 answers from 1",
    ]
    assert rows["both, all"][1] == "0.75 (0.19 to 0.98)\n28 answers from 1"
    rows = {row[0]: list(row[1:]) for row in experience.table.rows}
    assert rows["both, genetics"] == ["0.60 (0.19 to 0.91)\n40 answers from 2", "–"]
    assert "Fewer than 20 answers" in sure.text and "Fewer than 20 answers" in experience.text


def test_what_nobody_reported_has_no_section() -> None:
    nothing = SURE.assign(years="", confidence="")
    assert self_report_sections(by_confidence(nothing), by_experience(nothing)) == []
    (only,) = self_report_sections(by_confidence(nothing), by_experience(SURE))
    assert only.title == "Accuracy by years in practice"
