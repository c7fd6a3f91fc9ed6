"""Imports of ISIC and HAM10000 tables: columns of every naming, patients, ages."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.cohort import import_isic
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


def test_rows_that_share_a_patient_or_a_lesion_are_one_group(
    tmp_path: Path, write_pattern: Write, caplog: pytest.LogCaptureFixture
) -> None:
    rows = {"I0": "P0,L0", "I1": ",L0", "I2": "P0,L1", "I3": "P1,L1", "I4": "P2,unknown", "I5": "NA,L9"}
    rows |= {
        "I6": "-1,P2",
        "I7": "None,nan",
        "I8": "unknown,",
    }  # a lesion with the name of a patient; unknown
    for number, image in enumerate(rows):
        write_pattern(tmp_path / f"in/{image}.png", seed=number)
    lines = [f"{image},nv,{names}" for image, names in rows.items()]
    (tmp_path / "in/m.csv").write_text("\n".join(["image_id,dx,patient_id,lesion_id", *lines]) + "\n")
    groups = import_isic(tmp_path / "in", tmp_path / "out").rows["group"].tolist()
    assert groups == ["P0", "P0", "P0", "P0", "P2", "L9", "lesion P2", "images/I7.png", "images/I8.png"]
    assert "the patients P0, P1 share a lesion" in caplog.text


def test_isic_archive_takes_the_most_specific_diagnosis_and_says_so(
    tmp_path: Path, write_pattern: Write, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        write_pattern(tmp_path / f"in/I{number}.png", seed=number)
    (tmp_path / "in/m.csv").write_text(
        "isic_id,diagnosis_1,diagnosis_2,diagnosis_3\nI0,Benign,Benign melanocytic,Nevus\n"
        "I1,Malignant,Malignant melanocytic,Melanoma Invasive\nI2,Benign,Benign adnexal,\n"
    )
    rows = import_isic(tmp_path / "in", tmp_path / "out").rows
    assert rows["condition"].tolist() == ["Nevus", "Melanoma Invasive", "Benign adnexal"]
    assert "diagnosis_3 (2 rows), diagnosis_2 (1 rows), diagnosis_1 (0 rows)" in caplog.text
    rows = import_isic(tmp_path / "in", tmp_path / "out2", condition_column="diagnosis_1").rows
    assert rows["condition"].tolist() == ["Benign", "Malignant", "Benign"]


def test_ham10000(shared_data: Path, tmp_path: Path) -> None:
    cohort = import_isic(shared_data / "ham10000_small_224px.zip", tmp_path / "ham")
    assert len(cohort) == 740
    assert cohort.conditions == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    assert cohort.rows["group"].str.startswith("HAM_").all()
    assert {"age", "sex", "localization"} <= set(cohort.rows.columns)
    split = cohort.split(5, seed=0, test_fraction=0.2)
    patients = split.rows.drop_duplicates("group")
    counts = pd.crosstab(patients["condition"], patients["fold"])
    assert counts["test"].to_dict() == pytest.approx(counts.sum(axis=1).mul(0.2).to_dict(), abs=1)
    assert cohort.images(32).shape == (740, 32, 32, 3)


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
