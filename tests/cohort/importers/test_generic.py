"""Importers of general layouts give a complete cohort, or one error that lists all problems."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morphoscope.cohort import (
    Cohort,
    import_csv,
    import_dataset_json,
    import_folder,
)
from morphoscope.configs import UserError

Write = Callable[..., np.ndarray]


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return target


@pytest.mark.parametrize("as_zip", [False, True])
def test_folder_per_condition(class_folder: Path, tmp_path: Path, as_zip: bool) -> None:
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


def csv_source(tmp_path: Path, write_pattern: Write, table: str) -> Path:
    for number in range(3):
        write_pattern(tmp_path / f"in/{number}.png", seed=number)
    (tmp_path / "in/list.csv").write_text(table, encoding="utf-8-sig")
    return tmp_path / "in/list.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv(tmp_path: Path, write_pattern: Write, separator: str) -> None:
    lines = [
        "photo,name,patient,view,age",
        "0.png,NF1,p1,face,5",
        "1.png,NF1,p1,face,5",
        r".\2.png,TSC,p2,other,",
    ]
    source = csv_source(tmp_path, write_pattern, "\n".join(lines).replace(",", separator))
    cohort = import_csv(
        source, tmp_path / "out", file_column="photo", condition_column="NAME", group_column="patient"
    )
    assert cohort.rows["file"].tolist() == ["images/0.png", "images/1.png", "images/2.png"]
    assert cohort.rows["condition"].tolist() == ["NF1", "NF1", "TSC"]
    assert cohort.rows["group"].tolist() == ["p1", "p1", "p2"]
    assert cohort.rows["view"].tolist() == ["face", "face", "other"]
    assert cohort.rows["age"].tolist() == ["5", "5", ""]


def test_csv_with_label_missing(tmp_path: Path, write_pattern: Write) -> None:
    source = csv_source(tmp_path, write_pattern, "file,condition\n0.png,a\n1.png,\n2.png,b\n")
    with pytest.raises(UserError, match=r"1 problem.*1\.png: no label"):
        import_csv(source, tmp_path / "out")


def test_csv_without_a_row_for_an_image(tmp_path: Path, write_pattern: Write) -> None:
    source = csv_source(tmp_path, write_pattern, "file,condition\n0.png,a\n1.png,b\n")
    with pytest.raises(UserError, match=r"2\.png: no row"):
        import_csv(source, tmp_path / "out")
    assert len(import_csv(source, tmp_path / "out", allow_unlisted=True)) == 2


def test_csv_that_names_an_absent_file(tmp_path: Path, write_pattern: Write) -> None:
    source = csv_source(tmp_path, write_pattern, "file,condition\n0.png,a\n1.png,b\n2.png,b\ngone.png,b\n")
    with pytest.raises(UserError, match=r"gone\.png: absent"):
        import_csv(source, tmp_path / "out")


def test_csv_that_names_a_file_outside(tmp_path: Path, write_pattern: Write) -> None:
    write_pattern(tmp_path / "secret.png")
    table = "file,condition\n0.png,a\n1.png,b\n2.png,b\n../secret.png,b\n"
    with pytest.raises(UserError, match=r"secret\.png: absent"):
        import_csv(csv_source(tmp_path, write_pattern, table), tmp_path / "out")


def test_csv_that_lists_a_file_twice(tmp_path: Path, write_pattern: Write) -> None:
    source = csv_source(tmp_path, write_pattern, "file,condition\n0.png,a\n0.png,b\n1.png,b\n2.png,b\n")
    with pytest.raises(UserError, match=r"0\.png would be written twice"):
        import_csv(source, tmp_path / "out")


def test_csv_without_the_column(tmp_path: Path, write_pattern: Write) -> None:
    source = csv_source(tmp_path, write_pattern, "file,label\n0.png,a\n")
    with pytest.raises(UserError, match=r"list\.csv: no column condition; there are file, label"):
        import_csv(source, tmp_path / "out")


def test_csv_with_a_leaking_fold_is_refused_as_a_whole(tmp_path: Path, write_pattern: Write) -> None:
    table = "file,condition,group,fold\n0.png,a,p,0\n1.png,a,p,1\n2.png,b,q,0\n"
    with pytest.raises(UserError, match="group 'p' is in the folds 0, 1"):
        import_csv(csv_source(tmp_path, write_pattern, table), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_csv_files_need_a_choice(tmp_path: Path, write_pattern: Write) -> None:
    source = csv_source(tmp_path, write_pattern, "file,condition\n0.png,a\n1.png,a\n2.png,b\n")
    (source.parent / "other.csv").write_text("x\n1\n")
    with pytest.raises(UserError, match=r"list\.csv, other\.csv"):
        import_csv(source.parent, tmp_path / "out")
    assert len(import_csv(source, tmp_path / "out")) == 3


def test_dataset_json_round_trip(cohort: Cohort, tmp_path: Path) -> None:
    copy = import_dataset_json(cohort.root, tmp_path / "out")
    assert copy.conditions == ["x", "y"]
    assert copy.labels.tolist() == cohort.labels.tolist()
    np.testing.assert_array_equal(copy.images(16), cohort.images(16))


def test_dataset_json_zip_with_numbers_and_one_hot(tmp_path: Path, write_pattern: Write) -> None:
    for number in range(2):
        write_pattern(tmp_path / f"in/00000/img{number}.png", seed=number)
    labels = [["00000/img0.png", 1], ["00000/img1.png", [1.0, 0.0]]]
    (tmp_path / "in/dataset.json").write_text(json.dumps({"labels": labels}))
    source = zipped(tmp_path / "in", tmp_path / "in.zip")
    assert import_dataset_json(source, tmp_path / "out").rows["condition"].tolist() == ["class 1", "class 0"]
    named = import_dataset_json(source, tmp_path / "out2", conditions=["NF1", "TSC"])
    assert named.rows["condition"].tolist() == ["TSC", "NF1"]
    with pytest.raises(UserError, match="2 classes, but only 1 names"):
        import_dataset_json(source, tmp_path / "out3", conditions=["NF1"])


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"labels": null}',
        "[]",
        "{",
        '{"labels": [["a.png", -1]]}',
        '{"labels": [["a.png", [0.5, 0.5]]]}',
    ],
)
def test_dataset_json_that_is_not_valid(tmp_path: Path, content: str) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=r"dataset\.json: expected"):
        import_dataset_json(tmp_path, tmp_path / "out")
