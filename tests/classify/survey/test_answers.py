"""Reading answers: which are errors, which count, and which sheets are left out."""

from pathlib import Path

import pandas as pd
import pytest

from morphoscope.classify.survey.answers import read_answers
from morphoscope.classify.survey.building import Surveys
from morphoscope.configs import UserError


def test_answers_are_read(fill, saved, surveys: Surveys) -> None:
    found = read_answers(saved(fill("a"), fill("b", 2, specialty="other", years="")), surveys)
    assert (found.files, found.repeated, found.left_out) == (2, 0, [])
    assert len(found.rows) == 2 * 12
    assert set(found.rows.query("participant == 'b'")["specialty"]) == {"other"}
    truth = found.rows.merge(surveys.key, on=["survey", "position"])
    assert (truth["answer"] == truth["condition"]).all()


def test_first_answer_counts(fill, saved, surveys: Surveys) -> None:
    late = fill("a", wrong=1, saved="2026-05-02T00:00:00Z", specialty="late")
    early = fill("a", wrong=0, skipped=(3,), saved="2026-05-01T23:59:59Z")
    found = read_answers(saved(late, early), surveys)  # the later file comes first in the folder
    rows = found.rows.merge(surveys.key, on=["survey", "position"])
    assert found.repeated == 11
    assert rows["position"][rows["answer"] != rows["condition"]].tolist() == [
        3
    ]  # unanswered in the first file
    assert set(rows["specialty"]) == {"pediatrics"}


def test_incomplete_sheets_are_left_out_and_named(fill, saved, surveys: Surveys) -> None:
    found = read_answers(saved(fill("a", 1, skipped=(4,)), fill("a", 2), fill("b", 1)), surveys)
    assert found.left_out == ["a, survey 1: 11 of 12 questions answered; more than 95% are needed."]
    assert set(zip(found.rows["participant"], found.rows["survey"], strict=True)) == {("a", 2), ("b", 1)}


def test_a_sheet_with_exactly_95_percent_is_left_out(fill, saved, surveys: Surveys) -> None:
    pages = [
        surveys.key.assign(survey=1)[:10].assign(position=range(1 + 10 * i, 11 + 10 * i)) for i in range(2)
    ]
    twenty = Surveys(
        surveys.name, pd.concat(pages), surveys.conditions, surveys.specialties, surveys.cohort_digest, True
    )
    answers = pd.concat([fill("a")[:10].assign(position=range(1 + 10 * i, 11 + 10 * i)) for i in range(2)])
    answers["view"] = twenty.key["view"].to_numpy()
    answers.iloc[0, answers.columns.get_loc("answer")] = ""
    found = read_answers(saved(answers), twenty)
    assert len(found.left_out) == 1 and found.rows.empty


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"set": "s0"}, "set 's0' is not that of these surveys"),
        ({"survey": "9"}, "no survey '9'; there are 4"),
        ({"survey": "1.5"}, r"no survey '1\.5'"),
        ({"position": "13"}, "no position '13'; survey 1 has 12 questions"),
        ({"view": "face"}, "view 'face' where survey 1 shows a focused image"),
        ({"answer": "moles"}, "answer 'moles' is none of"),
        ({"confidence": "6"}, "confidence '6' must be 1 to 5"),
        ({"participant": "=cmd()"}, r"participant '=cmd\(\)'"),
        ({"participant": ""}, "participant ''"),
        ({"saved": "yesterday"}, "saved 'yesterday'"),
        ({"specialty": "x" * 61}, "specialty must have at most 60"),
    ],
)
def test_bad_lines_are_named(fill, saved, surveys: Surveys, columns: dict, message: str) -> None:
    with pytest.raises(UserError, match=rf"000\.csv: line 2: {message}") as error:
        read_answers(saved(fill("a").assign(**columns)), surveys)
    assert len(str(error.value)) < 2500


@pytest.mark.parametrize("skipped", [None, range(1, 13)])
def test_files_without_answers_give_no_rows(fill, saved, surveys: Surveys, skipped: range | None) -> None:
    table = fill("a").iloc[:0] if skipped is None else fill("a", skipped=tuple(skipped))
    found = read_answers(saved(table), surveys)
    assert found.rows.empty and "answer" in found.rows.columns
    assert len(found.left_out) == (skipped is not None)


@pytest.mark.parametrize(
    ("given", "counted"),
    [("7", "7"), ("5.0", "5"), ("5,00", "5"), ("2.5", "2.5"), ("0", "0"), ("", "")],
)
def test_years_are_read_in_any_notation(fill, saved, surveys: Surveys, given: str, counted: str) -> None:
    found = read_answers(saved(fill("a", years=given)), surveys)
    assert set(found.rows["years"]) == {counted} and not found.warnings


@pytest.mark.parametrize("given", ["-1", "81", "many", "1e400", "5.", "²", "x" * 1000])
def test_years_that_are_not_a_number_count_as_not_given_with_a_warning(
    fill, saved, surveys: Surveys, given: str
) -> None:
    found = read_answers(saved(fill("a", years=given), fill("a", 2, years=given), fill("b")), surveys)
    years = found.rows.groupby("participant")["years"].unique()
    assert list(years["a"]) == [""] and list(years["b"]) == ["7"]
    (warning,) = found.warnings
    assert warning.startswith(f"a: years {given[:20]!r}") and len(warning) < 120


@pytest.mark.parametrize("years", [("many", "8"), ("8", "many")])
def test_the_first_years_that_are_a_number_count_without_warning(
    fill, saved, surveys: Surveys, years: tuple[str, str]
) -> None:
    found = read_answers(saved(fill("a", years=years[0]), fill("a", 2, years=years[1])), surveys)
    assert set(found.rows["years"]) == {"8"} and not found.warnings


def test_bad_files_are_errors(fill, saved, surveys: Surveys, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.csv file"):
        read_answers(saved(), surveys)
    with pytest.raises(UserError, match="no such file"):
        read_answers(tmp_path / "absent.csv", surveys)
    folder = saved(fill("a").drop(columns=["answer", "saved"]))
    with pytest.raises(UserError, match="no column saved, answer"):
        read_answers(folder, surveys)
    (folder / "._000.csv").write_bytes(b"\x00what macOS writes beside a file")  # is ignored
    (folder / "000.csv").write_text("set\n" + "x" * 2**20)
    with pytest.raises(UserError, match=r"000\.csv: larger than 1 MiB"):
        read_answers(folder, surveys)


def test_semicolons_of_a_spreadsheet_are_read(fill, surveys: Surveys, tmp_path: Path) -> None:
    fill("a").to_csv(tmp_path / "a.csv", sep=";", index=False, encoding="utf-8-sig")
    assert len(read_answers(tmp_path / "a.csv", surveys).rows) == 12
