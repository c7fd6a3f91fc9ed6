"""CSV files that are safe to open in a spreadsheet."""

import csv
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphoscope.cohort.spreadsheet import read_csv, write_csv

NUMBERS = ["-1.5", "+3", "-1e-05", "-.5", "-12%", "-", "+"]
FORMULAS = ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\uff1d1+1", '=HYPERLINK("http://x";"y")']


def test_no_cell_becomes_a_formula(tmp_path: Path) -> None:
    texts = [*FORMULAS, "plain", "a=b"]
    write_csv(tmp_path / "t.csv", pd.DataFrame({"=name": texts, "number": [-0.5] * len(texts)}))
    (header, *rows) = csv.reader(StringIO((tmp_path / "t.csv").read_text()))
    assert header == ["'=name", "number"]
    assert rows == [[f"'{text}", "-0.500000"] for text in FORMULAS] + [
        ["plain", "-0.500000"],
        ["a=b", "-0.500000"],
    ]
    assert read_csv(tmp_path / "t.csv", 1000)["=name"].tolist() == texts


def test_numbers_and_signs_stay(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", pd.DataFrame({"a": NUMBERS, "b": range(-7, 0)}))
    assert "'" not in (tmp_path / "t.csv").read_text()
    assert read_csv(tmp_path / "t.csv", 1000)["a"].tolist() == NUMBERS


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("=+-@'1.e \uff1dab,;\"", min_size=1).map(str.strip).filter(bool), min_size=1))
def test_any_text_is_read_back_unchanged(tmp_path: Path, texts: list[str]) -> None:
    write_csv(tmp_path / "t.csv", pd.DataFrame({"key": "x", "text": texts}))
    assert read_csv(tmp_path / "t.csv", 10**6)["text"].tolist() == texts
    for _, cell in list(csv.reader(StringIO((tmp_path / "t.csv").read_text())))[1:]:
        assert not cell.startswith(("=", "@")) or len(cell) == 1


@pytest.mark.parametrize("name", ["=x.csv", "t.csv"])
def test_the_name_of_the_file_is_kept(tmp_path: Path, name: str) -> None:
    write_csv(tmp_path / name, pd.DataFrame({"a": ["=b"]}))
    assert (tmp_path / name).read_text() == "a\n'=b\n"
