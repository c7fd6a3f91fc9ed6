"""What is said of a cohort that changed between two calls of a command."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.cohort import Cohort, CohortInput, run_input, write_image


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    """Three conditions x 4 patients, one image each, in folds."""
    random = np.random.default_rng(0)
    found = []
    for condition in ("dark", "pale", "red"):
        for number in range(4):
            file = f"{condition}-{number}.png"
            write_image(tmp_path / file, random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            group = f"Mrs Doe {condition}{number}"
            found.append({"file": file, "condition": condition, "group": group, "fold": str(number % 2)})
    return pd.DataFrame(found)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows, []),
        (lambda rows: rows[3:], ["3 images were removed"]),
        (
            lambda rows: rows[rows["condition"] != "red"],
            ["4 images were removed", "the condition red is gone"],
        ),
        (
            lambda rows: rows.assign(condition=rows["condition"].replace("red", "rosy")),
            [
                "4 images were given another condition",
                "the condition red is gone",
                "the condition rosy is new",
            ],
        ),
        (lambda rows: rows.assign(fold=["1", *rows["fold"][1:]]), ["1 image was put into another fold"]),
        (lambda rows: rows[::-1], [run_input._OTHER]),
        (lambda rows: rows.assign(group="", view="face"), [run_input._OTHER]),
    ],
)
def test_changes_are_said_in_words(
    rows: pd.DataFrame, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], says: list[str]
) -> None:
    before = json.loads(json.dumps(CohortInput(Cohort.from_rows(tmp_path, rows)).as_json()))
    after = CohortInput(Cohort.from_rows(tmp_path, change(rows)))
    assert after.changes_since(before) == says


def test_added_images_are_counted_by_content(rows: pd.DataFrame, tmp_path: Path) -> None:
    before = CohortInput(Cohort.from_rows(tmp_path, rows[2:])).as_json()
    (tmp_path / "moved.png").write_bytes((tmp_path / rows["file"][5]).read_bytes())
    renamed = rows.assign(file=rows["file"].where(rows.index != 5, "moved.png"))
    found = CohortInput(Cohort.from_rows(tmp_path, renamed)).changes_since(before)
    assert found == ["2 images were added"]


def test_quite_another_cohort_is_named(rows: pd.DataFrame, tmp_path: Path) -> None:
    before = CohortInput(Cohort.from_rows(tmp_path, rows[:4])).as_json()
    found = CohortInput(Cohort.from_rows(tmp_path, rows[4:])).changes_since(before)
    assert found[0] == f"none of its images is in {tmp_path.name}"


def test_the_record_is_bounded_and_names_no_patient(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = Cohort.from_rows(tmp_path, rows)
    text = json.dumps(CohortInput(cohort).as_json())
    assert "Doe" not in text and "png" not in text and len(text) < 40 * len(cohort) + 500
    monkeypatch.setattr(run_input, "_MOST_IMAGES", 5)
    before = CohortInput(cohort).as_json()
    assert "images" not in before
    fewer = CohortInput(Cohort.from_rows(tmp_path, rows[1:]))
    assert fewer.changes_since(before) == ["dark had 4 images and has 3"]
    assert fewer.changes_since({"digest": "0", "conditions": {"dark": None}}) == [
        "the condition pale is new",
        "the condition red is new",
    ]
