"""Importers: layouts in, a whole cohort or one complete error out."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from morphoscope.cohort import (
    Cohort,
    import_classifynf1,
    import_csv,
    import_dataset_json,
    import_folder,
    import_isic,
    import_siim_isic,
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
def test_folder_per_class(class_folder: Path, tmp_path: Path, as_zip: bool) -> None:
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
        "loose.png: in no condition",
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
def test_dataset_json_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=r"dataset\.json: expected"):
        import_dataset_json(tmp_path, tmp_path / "out")


def test_isic_official_names_and_one_hot(tmp_path: Path, write_pattern: Write) -> None:
    for number in range(2):
        write_pattern(tmp_path / f"images/ISIC_{number}.jpg", seed=number)
    table = tmp_path / "truth.csv"
    table.write_text("image,MEL,NV,BCC\nISIC_0,0.0,1.0,0.0\nISIC_1,1.0,0.0,0.0\n")
    cohort = import_isic(table, tmp_path / "out", images=tmp_path / "images")
    assert cohort.rows["condition"].tolist() == ["nv", "mel"]
    assert cohort.rows["group"].tolist() == ["images/ISIC_0.jpg", "images/ISIC_1.jpg"]
    table.write_text("image,MEL,NV,BCC\nISIC_0,0.0,1.0,1.0\nISIC_1,1.0,0.0,0.0\n")
    with pytest.raises(UserError, match="ISIC_0: no label"):
        import_isic(table, tmp_path / "out2", images=tmp_path / "images")


def test_isic_patient_before_lesion_and_reserved_columns(tmp_path: Path, write_pattern: Write) -> None:
    for number in range(3):
        write_pattern(tmp_path / f"in/I{number}.png", seed=number)
    (tmp_path / "in/m.csv").write_text(
        "lesion_id,image_id,dx,patient_id,source\nL0,I0,nv,P0,clinic\nL1,I1,mel,-1,clinic\n,I2,mel,,web\n"
    )
    rows = import_isic(tmp_path / "in", tmp_path / "out").rows
    assert rows["group"].tolist() == ["P0", "L1", "images/I2.png"]
    assert rows["original_source"].tolist() == ["clinic", "clinic", "web"]
    assert set(rows["source"]) == {"real"}


def test_ham10000(shared_data: Path, tmp_path: Path) -> None:
    cohort = import_isic(shared_data / "ham10000_small_224px.zip", tmp_path / "ham")
    assert len(cohort) == 740
    assert cohort.conditions == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    assert cohort.rows["group"].str.startswith("HAM_").all()
    assert {"age", "sex", "localization"} <= set(cohort.rows.columns)
    split = cohort.split(5, seed=0, test_fraction=0.2)
    counts = pd.crosstab(split.rows["condition"], split.rows["fold"])
    assert counts["test"].to_dict() == pytest.approx(counts.sum(axis=1).mul(0.2).to_dict(), abs=1)
    assert cohort.images(32).shape == (740, 32, 32, 3)


NF1_TABLE = """image_name,filepath,diagnosis,tfrecord,is_test,site
a,data/a.png,NF1,8,0,arm
b,data/b.png,NF1,22,0,leg
c,data/c.png,TSC,-1,1,leg
d,data/d.png,NV,2,0,arm
e,data/e.png,seborrheic keratosis,9,0,arm
f,data/f.png,MEL,-1,0,arm
"""


@pytest.mark.parametrize("files", ["abcde", "abcdef"])  # f is left out, so its file may be absent or not
def test_classifynf1(tmp_path: Path, write_pattern: Write, files: str) -> None:
    for seed, name in enumerate(files):
        write_pattern(tmp_path / f"in/{name}.png", seed=seed)
    (tmp_path / "in/train.csv").write_text(NF1_TABLE)
    rows = import_classifynf1(tmp_path / "in/train.csv", tmp_path / "out", view="panoramic").rows
    assert rows["image_name"].tolist() == list("abcde")
    assert rows["fold"].tolist() == ["0", "1", "test", "4", "3"]
    assert rows["condition"].tolist() == ["NF1", "NF1", "TSC", "nevus", "BKL"]
    assert rows["diagnosis"].tolist()[3:] == ["NV", "seborrheic keratosis"]
    assert rows["site"].tolist() == ["arm", "leg", "leg", "arm", "arm"]
    assert set(rows["view"]) == {"panoramic"}


def test_classifynf1_names_every_bad_row(tmp_path: Path, write_pattern: Write) -> None:
    write_pattern(tmp_path / "in/a.png")
    (tmp_path / "in/train.csv").write_text(
        "image_name,filepath,diagnosis,tfrecord,is_test\na,a.png,,x,0\nb,b.png,NF1,1,maybe\n"
    )
    with pytest.raises(UserError) as error:
        import_classifynf1(tmp_path / "in", tmp_path / "out")
    for part in ("a: tfrecord", "a: no diagnosis", "b: is_test", "b.png: absent"):
        assert part in str(error.value)


SIIM_TABLE = """image_name,patient_id,sex,age_approx,diagnosis,benign_malignant,target,tfrecord,width,height
a,IP_1,male,45,seborrheic keratosis,benign,0,8,600,450
b,IP_1,male,45,unknown,benign,0,23,600,450
c,IP_2,female,30,café-au-lait macule,benign,0,-1,600,450
d,IP_3,female,60,cafe-au-lait macule,benign,0,12,600,450
e,-1,male,70,NV,benign,0,1,600,450
f,-1,male,70,MEL,malignant,1,29,600,450
g,-1,male,70,SCC,malignant,1,0,600,450
"""


def test_siim_isic(tmp_path: Path, write_pattern: Write) -> None:
    for seed, name in enumerate("abcdefg"):
        write_pattern(tmp_path / f"in/train/{name}.jpg", seed=seed)
    (tmp_path / "in/train.csv").write_text(SIIM_TABLE)
    cohort = import_siim_isic(tmp_path / "in/train.csv", tmp_path / "out")
    rows = cohort.rows
    assert rows["image_name"].tolist() == list("abdefg")
    assert rows["condition"].tolist() == ["BKL", "unknown", "unknown", "nevus", "melanoma", "SCC"]
    assert rows["diagnosis"].tolist()[0] == "seborrheic keratosis"
    assert rows["fold"].tolist() == ["0", "0", "2", "3", "4", "1"]
    assert rows["group"].tolist()[:3] == ["IP_1", "IP_1", "IP_3"]
    assert rows["group"].tolist()[3:] == rows["file"].tolist()[3:]  # -1: not known, so each on its own
    assert set(rows["view"]) == {"focused"}


def test_siim_isic_names_every_bad_row(tmp_path: Path, write_pattern: Write) -> None:
    write_pattern(tmp_path / "in/a.png")
    write_pattern(tmp_path / "in/test/z.png")
    (tmp_path / "in/train.csv").write_text("image_name,diagnosis,tfrecord\na,,0.5\nb,NV,x\n")
    with pytest.raises(UserError) as error:
        import_siim_isic(tmp_path / "in", tmp_path / "out")
    for part in ("a: tfrecord", "b: tfrecord", "a: no diagnosis", "b: absent", "test/z.png: no row"):
        assert part in str(error.value)


def import_one_row_each(tmp_path: Path, write_pattern: Write, columns: dict[str, list[str]]) -> pd.DataFrame:
    """The manifest rows of a stratified table, an image a row; diagnosis nevus, tfrecord 0 if not given."""
    count = len(next(iter(columns.values())))
    table = pd.DataFrame({"image_name": [f"i{number:02d}" for number in range(count)]})
    table = table.assign(**{"diagnosis": "nevus", "tfrecord": "0", **columns})
    for number, name in enumerate(table["image_name"]):
        write_pattern(tmp_path / f"in/{name}.png", seed=number, height=8, width=8)
    table.to_csv(tmp_path / "in/train.csv", index=False)
    return import_siim_isic(tmp_path / "in", tmp_path / "out").rows


# As published; what is not listed keeps its name.
PUBLISHED_NAMES = {
    "seborrheic keratosis": "BKL",
    "lichenoid keratosis": "BKL",
    "solar lentigo": "BKL",
    "lentigo NOS": "BKL",
    "cafe-au-lait macule": "unknown",
    "atypical melanocytic proliferation": "unknown",
    "NV": "nevus",
    "MEL": "melanoma",
    "nevus": "nevus",
    "melanoma": "melanoma",
    "unknown": "unknown",
    "BKL": "BKL",
    "BCC": "BCC",
    "AK": "AK",
    "DF": "DF",
    "VASC": "VASC",
    "SCC": "SCC",
}


def test_siim_isic_merges_diagnoses_into_nine_as_published(tmp_path: Path, write_pattern: Write) -> None:
    rows = import_one_row_each(tmp_path, write_pattern, {"diagnosis": list(PUBLISHED_NAMES)})
    assert dict(zip(rows["diagnosis"], rows["condition"], strict=True)) == PUBLISHED_NAMES
    assert rows["condition"].nunique() == 9


def test_siim_isic_deals_tfrecords_into_folds_as_published(tmp_path: Path, write_pattern: Write) -> None:
    published = {"0": (8, 5, 11), "1": (7, 0, 6), "2": (10, 12, 13), "3": (9, 1, 3), "4": (14, 2, 4)}
    fold_of = {record: fold for fold, records in published.items() for record in records}
    assert sorted(fold_of) == list(range(15))
    records = [-1, *range(31)]
    rows = import_one_row_each(tmp_path, write_pattern, {"tfrecord": [str(record) for record in records]})
    assert rows["tfrecord"].tolist() == [str(record) for record in range(31)]  # without the duplicate, -1
    assert rows["fold"].tolist() == [fold_of[record % 15] for record in range(31)]


AGES = {"45": "45", "0.0": "0.0", "": "", "unknown": "", "-1": "", "nan": "", "NA": ""}


def test_siim_isic_carries_age_and_sex(tmp_path: Path, write_pattern: Write) -> None:
    sexes = ["male", "female", "", "male", "female", "", ""]
    rows = import_one_row_each(tmp_path, write_pattern, {"age_approx": list(AGES), "sex": sexes})
    assert rows["age"].tolist() == list(AGES.values())
    assert rows["age_approx"].tolist() == list(AGES)
    assert rows["sex"].tolist() == sexes


@pytest.mark.parametrize("column", ["age_approx", "age_approximate", "Age_Approx"])
def test_isic_carries_the_approximate_age_unless_the_table_has_an_age(
    tmp_path: Path, write_pattern: Write, column: str
) -> None:
    for number in range(3):
        write_pattern(tmp_path / f"in/I{number}.png", seed=number)
    table = tmp_path / "in/m.csv"
    table.write_text(f"isic_id,diagnosis,{column},sex\nI0,nv,35,male\nI1,mel,unknown,\nI2,mel,,female\n")
    rows = import_isic(table, tmp_path / "out").rows
    assert rows["age"].tolist() == ["35", "", ""]
    assert rows["sex"].tolist() == ["male", "", "female"]
    table.write_text(f"isic_id,diagnosis,age,{column}\nI0,nv,37,35\nI1,mel,,50\nI2,mel,x,\n")
    assert import_isic(table, tmp_path / "out2").rows["age"].tolist() == ["37", "", "x"]
    table.write_text(f"isic_id,diagnosis,Age,{column}\nI0,nv,37,35\nI1,mel,,50\nI2,mel,x,\n")
    rows = import_isic(table, tmp_path / "out3").rows
    assert rows["age"].tolist() == ["37", "", ""] and rows["Age"].tolist() == ["37", "", "x"]


def test_tables_without_ages_get_no_column_of_them(tmp_path: Path, write_pattern: Write) -> None:
    assert "age" not in import_one_row_each(tmp_path, write_pattern, {"sex": ["male", "female"]}).columns
