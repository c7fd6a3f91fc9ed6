"""CSV files that are safe to open in a spreadsheet."""

from pathlib import Path

import pandas as pd

from morphoscope.classify.survey.spreadsheet import read_csv, write_csv


def test_no_cell_becomes_a_formula(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "'quoted", "plain", "a=b"]
    write_csv(tmp_path / "t.csv", pd.DataFrame({"=name": texts, "number": [-0.5] * 7}))
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "'=name,number" and lines[1] == "'=1+1,-0.5"
    assert not any(line.startswith(("=", "+", "-", "@")) for line in lines)
    assert read_csv(tmp_path / "t.csv", 1000)["=name"].tolist() == texts
