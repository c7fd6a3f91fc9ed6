"""Imports of the SIIM-ISIC tables: published folds and diagnoses, ages, and every bad row named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.cohort import import_siim_isic
from morphoscope.configs import UserError

Write = Callable[..., np.ndarray]


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
    """The manifest rows of a stratified table, one image per row; by default nevus in tfrecord 0."""
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


def test_siim_isic_assigns_tfrecords_to_folds_as_published(tmp_path: Path, write_pattern: Write) -> None:
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


def test_tables_without_ages_get_no_column_age(tmp_path: Path, write_pattern: Write) -> None:
    assert "age" not in import_one_row_each(tmp_path, write_pattern, {"sex": ["male", "female"]}).columns
