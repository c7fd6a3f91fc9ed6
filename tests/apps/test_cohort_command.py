"""`morphoscope cohort …`: which options reach which importer, and what the commands leave behind."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from morphoscope.apps import cli
from morphoscope.cohort import Cohort

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command line in an empty folder with photographs; returns (exit code, stderr)."""
    monkeypatch.chdir(tmp_path)
    for index in range(4):
        path = tmp_path / "photos" / "ab"[index % 2] / f"P{index // 2}_{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["morphoscope", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return int(stop.value.code or 0), capsys.readouterr().err

    return call


def test_a_folder_with_patients_in_its_file_names(run: Run) -> None:
    options = ("--group-pattern", "(P[0-9])_", "--view", "face")
    assert run("cohort", "import", "folder", "photos", "out", *options)[0] == 0
    rows = Cohort.load(Path("out")).rows
    assert rows["group"].tolist() == ["P0", "P1", "P0", "P1"]
    assert set(rows["view"]) == {"face"}


def test_a_table_with_columns_of_its_own(run: Run) -> None:
    Path("photos/list.csv").write_text("photo,finding,person\na/P0_0.png,NF1,x\nb/P0_1.png,TSC,x\n")
    command = ["cohort", "import", "csv", "photos", "out", "--file-column", "photo"]
    command += ["--condition-column", "finding", "--group-column", "person"]
    code, error = run(*command)
    assert code == 2
    assert "P1_2.png: no row for it" in error
    assert run(*command, "--allow-unlisted")[0] == 0
    rows = Cohort.load(Path("out")).rows
    assert rows[["condition", "group"]].to_numpy().tolist() == [["NF1", "x"], ["TSC", "x"]]


@pytest.mark.parametrize(
    ("layout", "option", "value"),
    [
        ("folder", "--images", "photos"),
        ("folder", "--file-column", "photo"),
        ("csv", "--view", "face"),
        ("isic", "--group-pattern", "P"),
        ("dataset-json", "--allow-unlisted", None),
    ],
)
def test_an_option_of_another_layout_is_refused(
    run: Run, layout: str, option: str, value: str | None
) -> None:
    code, error = run("cohort", "import", layout, "photos", "out", option, *([value] if value else []))
    assert code == 2
    assert f"{option}: not for the layout '{layout}'" in error
    assert not Path("out").exists()


def test_split_and_phantom_record_their_settings(run: Run) -> None:
    assert (
        run("cohort", "phantom", "toy", "--set", "per_condition=6", "--set", "size=32", "--seed", "7")[0] == 0
    )
    assert run("cohort", "split", "toy", "--folds", "2", "--test", "0.34", "--seed", "3")[0] == 0
    assert yaml.safe_load(Path("toy/phantom.yaml").read_text()) == {"per_condition": 6, "size": 32, "seed": 7}
    assert yaml.safe_load(Path("toy/split.yaml").read_text()) == {"folds": 2, "test": 0.34, "seed": 3}
    assert Path("toy/split.yaml").read_text().startswith("# command: cohort split toy --folds 2")


def test_rows_are_checked_before_any_work(run: Run) -> None:
    code, error = run("classify", "evaluate", "absent.safetensors", "absent", "--rows", "train")
    assert code == 2
    assert "out_of_fold" in error
