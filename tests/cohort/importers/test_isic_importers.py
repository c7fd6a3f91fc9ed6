"""Imports of ISIC's tables, and of those that follow them: ClassifyNF1 and the challenges of 2018 to 2020."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.cohort import (
    import_classifynf1,
    import_isic,
    import_siim_isic,
)
from morphoscope.configs import UserError

Write = Callable[..., np.ndarray]


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
