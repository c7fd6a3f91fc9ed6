"""`morphoscope cohort …`: which options reach which importer, and what the commands leave behind."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from morphoscope.apps import cli
from morphoscope.classify.training.plans import plan_folds
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError

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


NF1_TABLE = "image_name,filepath,patient_id,sex,age_approx,diagnosis,tfrecord,is_test"
NF1_CONDITIONS = ("NF1", "TSC")


def write_classifynf1(folder: Path, seed: int, records: tuple[int, ...], patients: bool = True) -> None:
    """A ClassifyNF1 folder: of each condition a test patient and one for each tfrecord, an image each."""
    folder.mkdir()
    lines = [NF1_TABLE]
    for condition in NF1_CONDITIONS:
        for number, record in enumerate((-2, *records)):
            name = f"{condition}_{folder.name}Slide{number}.png"
            pixels = np.random.default_rng([seed, len(lines)]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name)
            patient = f"{condition}-{number}" if patients else "-1"
            lines.append(f"{name},{name},{patient},0,0,{condition},{record},{int(record == -2)}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n")


def import_both_views(run: Run) -> None:
    for folder, view in (("Crop", "focused"), ("Recrop", "panoramic")):
        words = ("cohort", "import", "classifynf1", f"{folder}/train.csv", view, "--view", view)
        assert run(*words) == (0, "")


def test_the_published_views_are_imported_joined_and_planned(run: Run) -> None:
    write_classifynf1(Path("Crop"), 1, (8, 7, 10))
    write_classifynf1(Path("Recrop"), 2, (5, 0, 12))  # other records, the same folds
    import_both_views(run)
    assert run("cohort", "join", "focused", "panoramic", "both") == (0, "")
    both = Cohort.load(Path("both"))
    assert both.rows.groupby("group")["view"].agg(sorted).tolist() == [["focused", "panoramic"]] * 8
    plans = plan_folds(both, [], view="panoramic")
    assert [plan.fold for plan in plans] == ["0", "1", "2"]
    assert [len(plan.training) for plan in plans] == [4, 4, 4]
    assert set(both.rows["view"].iloc[plans[0].training]) == {"panoramic"}


def test_published_folds_that_disagree_are_assigned_again_without_the_test_fold(run: Run) -> None:
    write_classifynf1(Path("Crop"), 1, (8, 7, 10))
    write_classifynf1(Path("Recrop"), 2, (7, 8, 10))
    import_both_views(run)
    code, error = run("cohort", "join", "focused", "panoramic", "both")
    assert code == 2
    assert "NF1-1 (0, 1)" in error
    assert not Path("both").exists()
    assert run("cohort", "join", "focused", "panoramic", "both", "--test-fold-only") == (0, "")
    assert run("cohort", "split", "both", "--folds", "3", "--test", "0") == (0, "")
    both = Cohort.load(Path("both"))
    assert set(both.rows["group"][both.rows["fold"] == "test"]) == {"NF1-0", "TSC-0"}
    assert len(plan_folds(both, [], view="panoramic")) == 3


def test_tables_that_name_no_patient_make_no_pairs(run: Run) -> None:
    write_classifynf1(Path("Crop"), 1, (8, 7, 10), patients=False)
    write_classifynf1(Path("Recrop"), 2, (8, 7, 10), patients=False)
    import_both_views(run)
    assert run("cohort", "join", "focused", "panoramic", "both") == (0, "")
    with pytest.raises(UserError, match=r"panoramic/images/NF1_RecropSlide0\.png"):
        plan_folds(Cohort.load(Path("both")), [], view="panoramic")


def test_join_needs_two_cohorts_that_exist(run: Run) -> None:
    assert run("cohort", "import", "folder", "photos", "a") == (0, "")
    code, error = run("cohort", "join", "a", "out")
    assert code == 2
    assert "At least two cohorts" in error
    code, error = run("cohort", "join", "a", "absent", "out")
    assert code == 2
    assert "absent: no such folder" in error


def test_join_reports_the_patients_in_common_and_how_to_split(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_classifynf1(Path("Crop"), 1, (8, 7, 10))
    write_classifynf1(Path("Recrop"), 2, (7, 8, 10))
    import_both_views(run)
    words = ["cohort", "join", "focused", "panoramic", "both", "--test-fold-only"]
    monkeypatch.setattr(sys, "argv", ["morphoscope", *words])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().out
    assert "8 groups occur in more than one cohort" in said
    assert "morphoscope cohort split both --test 0" in said


@pytest.mark.parametrize("option", [[], ["--test-fold-only"]])
def test_join_reports_that_the_splits_differ(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    for name, pieces in (("near", 3), ("far", 2)):
        drawing = ["--set", "per_condition=4", "--set", "size=32", "--seed", str(pieces)]
        assert run("cohort", "phantom", name, *drawing)[0] == 0
        rows = Cohort.load(Path(name)).rows
        numbers = range(len(rows))
        rows = rows.assign(
            group=[f"{name}{row}" for row in numbers], fold=[str(row % pieces) for row in numbers]
        )
        Cohort.from_rows(Path(name), rows).save()
    monkeypatch.setattr(sys, "argv", ["morphoscope", "cohort", "join", "near", "far", "both", *option])
    with pytest.raises(SystemExit):
        cli.main()
    said = " ".join(capsys.readouterr().out.split())
    assert ("The cohorts were split into different folds (near: 0, 1, 2; far: 0, 1)." in said) == (not option)
    assert ("join them with --test-fold-only" in said) == (not option)


def test_rows_are_checked_before_any_work(run: Run) -> None:
    code, error = run("classify", "evaluate", "absent.safetensors", "absent", "--rows", "train")
    assert code == 2
    assert "out_of_fold" in error
