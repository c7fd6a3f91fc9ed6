"""Imports of a folder per condition: conditions and patients from folders, or a question if unclear."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morphoscope.cohort import import_folder
from morphoscope.configs import UserError

Write = Callable[..., np.ndarray]
Zipped = Callable[[Path, Path], Path]


@pytest.mark.parametrize("as_zip", [False, True])
def test_folder_per_condition(class_folder: Path, tmp_path: Path, zipped: Zipped, as_zip: bool) -> None:
    source = zipped(class_folder, tmp_path / "classes.zip") if as_zip else class_folder
    cohort = import_folder(source, tmp_path / "out", view="face")
    assert cohort.conditions == ["a", "b"]
    assert len(cohort) == 12
    assert set(cohort.rows["view"]) == {"face"}
    assert cohort.rows["file"][0] == "images/a/00.png"
    assert (tmp_path / "out/images/a/00.png").read_bytes() == (class_folder / "a/00.png").read_bytes()
    assert json.loads((tmp_path / "out/dataset.json").read_text())["labels"][0] == ["images/a/00.png", 0]


def test_folder_groups_from_patient_folders_and_from_a_pattern(tmp_path: Path, write_pattern: Write) -> None:
    for name in ("a/p1/one.png", "a/p1/two.png", "a/p2_one.png", "b/p2_two.png"):
        write_pattern(tmp_path / "in" / name)
    groups = import_folder(tmp_path / "in", tmp_path / "out").rows["group"].tolist()
    assert groups == ["a/p1", "a/p1", "images/a/p2_one.png", "images/b/p2_two.png"]
    by_pattern = import_folder(tmp_path / "in", tmp_path / "out2", group_pattern=r"(p\d)")
    assert by_pattern.rows["group"].tolist() == ["p1", "p1", "p2", "p2"]
    with pytest.raises(UserError, match=r"b/p2_two\.png: the group pattern"):
        import_folder(tmp_path / "in", tmp_path / "out3", group_pattern=r"a/")
    with pytest.raises(UserError, match="not a regular expression"):
        import_folder(tmp_path / "in", tmp_path / "out3", group_pattern="(")


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="no image found"):
        import_folder(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        import_folder(tmp_path / "in", tmp_path / "out")


def test_bad_files_are_all_named_and_nothing_is_left(class_folder: Path, tmp_path: Path) -> None:
    (class_folder / "a/empty.jpg").touch()
    (class_folder / "b/text.png").write_text("text")
    (class_folder / "b/raw.heic").write_bytes(b"ftypheic")
    (class_folder / "loose.png").write_bytes((class_folder / "a/00.png").read_bytes())
    (class_folder / "notes.txt").write_text("not meant as an image")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError) as error:
        import_folder(class_folder, tmp_path / "out")
    message = str(error.value)
    assert message.startswith("4 problem(s)")
    for part in (
        "loose.png: not in a condition",
        "a/empty.jpg: empty file",
        "b/text.png: not",
        "b/raw.heic: not",
    ):
        assert part in message
    assert sorted(tmp_path.iterdir()) == before


def test_unusual_images_are_written_as_normalised_png(tmp_path: Path) -> None:
    source = tmp_path / "in/a"
    source.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (8, 4), 77).save(source / "grey.png")
    Image.new("RGB", (8, 4)).save(source / "turned.jpg", exif=exif)
    Image.new("CMYK", (8, 4)).save(source / "print.tif")
    Image.new("RGB", (8, 4)).save(source / "plain.jpg")
    Image.new("RGB", (8, 4)).save(source / "misnamed.png", "JPEG")
    cohort = import_folder(tmp_path / "in", tmp_path / "out")
    written = {path.name: Image.open(path) for path in (tmp_path / "out/images/a").iterdir()}
    assert {name: image.format for name, image in written.items()} == {
        "grey.png": "PNG",
        "turned.jpg.png": "PNG",
        "print.tif.png": "PNG",
        "plain.jpg": "JPEG",
        "misnamed.png": "PNG",
    }
    assert {image.mode for image in written.values()} == {"RGB"}
    assert written["turned.jpg.png"].size == (4, 8)
    assert cohort.check().ok


def test_destination_in_use(class_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept.txt").touch()
    with pytest.raises(UserError, match="already exists"):
        import_folder(class_folder, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kept.txt"]


def write_all(root: Path, names: str, write_pattern: Write) -> Path:
    """A folder with an image of its own for each of the names."""
    for seed, name in enumerate(names.split()):
        write_pattern(root / f"{name}.png", seed=seed)
    return root


SPLITS = "train/mel/1 train/nv/p1/2 val/nv/3 test/mel/4 test/nv/p2/5"


@pytest.mark.parametrize(
    "names",
    [
        SPLITS,
        "Training_set/mel/1 Training_set/nv/2 TEST/mel/3 TEST/nv/4",
        "mel/train/1 mel/test/2 nv/train/3 nv/test/4",
        "fold1/mel/1 fold1/nv/2 fold2/mel/3",
        "mel/1 nv/2 test/3",
    ],
)
def test_folders_of_splits_are_no_conditions(tmp_path: Path, write_pattern: Write, names: str) -> None:
    with pytest.raises(
        UserError, match=r"Expected condition/patient/photo\.jpg.*--split-folders|--split-folders"
    ):
        import_folder(write_all(tmp_path / "in", names, write_pattern), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_split_folders_become_folds(tmp_path: Path, write_pattern: Write) -> None:
    source = write_all(tmp_path / "in", SPLITS, write_pattern)
    rows = import_folder(source, tmp_path / "out", split_folders=True).rows.set_index("file")
    assert rows["condition"].to_dict() == {
        "images/train/mel/1.png": "mel",
        "images/train/nv/p1/2.png": "nv",
        "images/val/nv/3.png": "nv",
        "images/test/mel/4.png": "mel",
        "images/test/nv/p2/5.png": "nv",
    }
    by_name = {Path(name).stem: row for name, row in rows.iterrows()}
    assert {name: row["fold"] for name, row in by_name.items()} == dict(
        zip("12345", ["", "", "", "test", "test"], strict=True)
    )
    assert {name: row["split"] for name, row in by_name.items() if name in "13"} == {"1": "train", "3": "val"}
    assert (by_name["2"]["group"], by_name["5"]["group"]) == ("nv/p1", "nv/p2")


def test_splits_inside_conditions_and_numbered_folds(tmp_path: Path, write_pattern: Write) -> None:
    source = write_all(tmp_path / "in", "mel/train/p/1 mel/test/2 nv/fold_02/3 nv/dev/4", write_pattern)
    rows = import_folder(source, tmp_path / "out", split_folders=True).rows
    assert rows["condition"].tolist() == ["mel", "mel", "nv", "nv"]
    assert rows["fold"].tolist() == ["test", "", "", "2"]
    assert rows["group"].tolist()[1] == "mel/p"


@pytest.mark.parametrize("names", ["train/mel/1 nv/2", "train/test/1 train/nv/2", "train/1 test/nv/2"])
def test_images_that_lie_in_no_split_or_no_condition(
    tmp_path: Path, write_pattern: Write, names: str
) -> None:
    source = write_all(tmp_path / "in", names, write_pattern)
    with pytest.raises(UserError, match=r"nv/2\.png|train/test/1\.png|train/1\.png: not in a condition"):
        import_folder(source, tmp_path / "out", split_folders=True)


def test_a_patient_in_test_and_elsewhere_is_refused(tmp_path: Path, write_pattern: Write) -> None:
    source = write_all(
        tmp_path / "in", "train/mel/p1/1 train/nv/p1/2 test/mel/p1/3 val/nv/p1/4", write_pattern
    )
    with pytest.raises(UserError, match=r"1 problem.*patient 'mel/p1' is in test and train"):
        import_folder(source, tmp_path / "out", split_folders=True)


@pytest.mark.parametrize("as_zip", [False, True])
def test_a_single_folder_around_the_conditions(
    tmp_path: Path, write_pattern: Write, zipped: Zipped, as_zip: bool
) -> None:
    source = write_all(tmp_path / "in", "photos/mel/1 photos/nv/p1/2", write_pattern)
    source = zipped(source, tmp_path / "photos.zip") if as_zip else source
    with pytest.raises(UserError, match=r"one folder, 'photos': mel, nv\..*--step-inside\."):
        import_folder(source, tmp_path / "out")
    rows = import_folder(source, tmp_path / "out", step_inside=True).rows
    assert rows["condition"].tolist() == ["mel", "nv"]
    assert rows["group"].tolist() == ["images/photos/mel/1.png", "nv/p1"]
    with pytest.raises(UserError, match="--step-inside needs a single folder"):
        import_folder(
            write_all(tmp_path / "two", "mel/1 nv/2", write_pattern), tmp_path / "x", step_inside=True
        )


def test_a_single_folder_around_splits(tmp_path: Path, write_pattern: Write) -> None:
    source = write_all(tmp_path / "in", "data/train/mel/1 data/test/nv/2", write_pattern)
    with pytest.raises(UserError, match="--step-inside --split-folders"):
        import_folder(source, tmp_path / "out")
    rows = import_folder(source, tmp_path / "out", step_inside=True, split_folders=True).rows
    assert rows[["condition", "fold"]].to_numpy().tolist() == [["nv", "test"], ["mel", ""]]
    only = write_all(tmp_path / "only", "train/mel/1 train/nv/2", write_pattern)
    assert import_folder(only, tmp_path / "out2", split_folders=True).conditions == ["mel", "nv"]


def test_a_single_condition_is_said_before_anything_is_copied(
    tmp_path: Path, write_pattern: Write, caplog: pytest.LogCaptureFixture
) -> None:
    import_folder(write_all(tmp_path / "in", "mel/1 mel/2", write_pattern), tmp_path / "out")
    assert "'mel' is the only condition" in caplog.text


def test_a_folder_name_cannot_break_the_line_of_a_warning(
    tmp_path: Path, write_pattern: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write_pattern(tmp_path / "in" / "mel\nmorphoscope: all is well" / "a.png")
    with pytest.raises(UserError, match="line break"):
        import_folder(tmp_path / "in", tmp_path / "out")
    assert r"'mel\nmorphoscope: all is well' is the only condition" in caplog.text


def test_names_of_folders_are_normalised(tmp_path: Path, write_pattern: Write) -> None:
    names = ("nv /1.0/a.png", "nv/1/b.png", "cafe\u0301/c.png", "caf\u00e9/NaN/d.png")
    for seed, name in enumerate(names):
        write_pattern(tmp_path / "in" / name, seed=seed)
    cohort = import_folder(tmp_path / "in", tmp_path / "out")
    assert cohort.conditions == ["caf\u00e9", "nv"]
    groups = dict(zip(cohort.rows["file"].str[-5], cohort.rows["group"], strict=True))
    assert groups["a"] == groups["b"] == "nv/1"
    assert groups["d"] == "images/caf\u00e9/NaN/d.png"
    labels = json.loads((tmp_path / "out/dataset.json").read_text(encoding="utf-8"))
    assert labels["conditions"] == cohort.conditions
    assert dict(labels["labels"]) == dict(zip(cohort.rows["file"], cohort.labels.tolist(), strict=True))


def test_a_folder_whose_name_means_unknown(tmp_path: Path, write_pattern: Write) -> None:
    source = write_all(tmp_path / "in", "mel/1 nan/2", write_pattern)
    with pytest.raises(UserError, match=r"nan/2\.png: no label, since 'nan' means that it is unknown"):
        import_folder(source, tmp_path / "out")


def test_similar_names_are_warned_of_before_anything_is_copied(
    tmp_path: Path, write_pattern: Write, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_all(tmp_path / "in", "Mel/P1/1 mel/p1/2 nv/p1/3", write_pattern)
    import_folder(source, tmp_path / "out")
    assert "'Mel' and 'mel' differ only in case" in caplog.text
    assert "p1 (mel, nv)" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_utf8_are_all_named_first(tmp_path: Path, write_pattern: Write) -> None:
    source = write_all(tmp_path / "in", "mel/1 nv/2", write_pattern)
    (source / "mel" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    (source / os.fsdecode(b"n\xfcvus")).mkdir()
    write_pattern(source / os.fsdecode(b"n\xfcvus") / "3.png")
    with pytest.raises(UserError, match=r"^2 file name.*caf\\udce9.*rename.*n\\udcfcvus"):
        import_folder(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
