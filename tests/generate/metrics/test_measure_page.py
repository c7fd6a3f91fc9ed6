"""The page, the CSV and the terminal's tables: order, intervals, missing values, names of the network."""

import math

from morphoscope.cohort.spreadsheet import read_csv
from morphoscope.generate.metrics import (
    Measure,
    Measured,
    Numbers,
    condition_table,
    overall_table,
    write_measure_page,
    write_measure_table,
)
from morphoscope.runtime.statistics import Estimate

NOTHING = Estimate(math.nan, math.nan, math.nan)
KID = Measure(
    "kid",
    "x",
    Measured(Estimate(0.2, 0.1, 0.3), 0.25, 0.01),
    {
        "good": Measured(Estimate(0.1, 0.0, 0.2), 0.1, 0.0),
        "=bad()": Measured(Estimate(0.4, 0.3, 0.5), 0.4, 0.0),
        "few": Measured(Estimate(0.2, math.nan, math.nan)),
        "none": Measured(NOTHING),
    },
)
PPL = Measure("ppl", "y", Measured(Estimate(3, 2, 4)), {name: Measured(NOTHING) for name in KID.by_condition})
NUMBERS = {name: Numbers(10, 3, 3) for name in ("", *KID.by_condition)}


def test_worst_conditions_come_first_and_those_without_a_value_last(tmp_path):
    order = ["=bad()", "few", "good", "none"]
    assert KID.worst_first() == order
    columns, rows = condition_table([KID, PPL])
    assert columns == ["", "KID", "path length"]
    assert [row[0] for row in rows] == order
    assert rows[1][1:] == ["0.2000", "–"] and rows[3][1:] == ["–", "–"]
    page = tmp_path / "report.html"
    write_measure_page(page, [KID, PPL], NUMBERS, None, [("generator", "ab")], phantom=False)
    text = page.read_text()
    table = text.partition("<h2>KID (x)</h2>")[2]
    assert table.index("<td>=bad()</td>") < table.index("<td>few</td>") < table.index("<td>good</td>")
    assert "0.4000 (0.3000 to 0.5000)" in text
    assert "KID (x)" in text and "path length (y)" in text
    assert "too few for values of their own" in text
    assert ">nan" not in text


def test_one_row_per_metric_and_condition(tmp_path):
    write_measure_table(tmp_path / "metrics.csv", [KID, PPL], NUMBERS)
    table = read_csv(tmp_path / "metrics.csv", 10**6)
    assert table["condition"].tolist()[:3] == ["", "=bad()", "few"]  # no formula for a spreadsheet
    assert "'=bad()" in (tmp_path / "metrics.csv").read_text()
    assert table["metric"].tolist() == ["kid_x"] * 5 + ["ppl_y"] * 5
    assert table.loc[2, ["value", "low", "floor"]].tolist() == ["0.200000", "", ""]


def test_overall_values_stand_beside_their_floor():
    _, rows = overall_table([KID, PPL])
    assert rows[0] == ["KID (x)", "0.2000 (0.1000 to 0.3000)", "0.2500", "0.0100"]
    assert rows[1][2:] == ["–", "–"]
