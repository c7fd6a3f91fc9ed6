"""Importers of general tables give a complete cohort, or one error that lists all problems."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from morphoscope.cohort import Cohort, import_csv, import_dataset_json
from morphoscope.configs import UserError

Write = Callable[..., np.ndarray]
Zipped = Callable[[Path, Path], Path]


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


@pytest.mark.parametrize("word", ["NaN", "nan", "None", "NA", "n/a", " "])
def test_words_for_unknown_are_no_label_and_no_patient(
    tmp_path: Path, write_pattern: Write, word: str
) -> None:
    lines = [f"0.png,a,{word},{word},{word}", f"1.png,b,{word},,", "2.png,b,p,0.0,face"]
    table = "\n".join(["file,condition,group,fold,view", *lines])
    rows = import_csv(csv_source(tmp_path, write_pattern, table), tmp_path / "out").rows
    assert rows["group"].tolist() == ["images/0.png", "images/1.png", "p"]
    assert rows["fold"].tolist() == ["", "", "0"]
    assert rows["view"].tolist() == ["other", "other", "face"]
    source = csv_source(tmp_path, write_pattern, f"file,condition\n0.png,a\n1.png,{word}\n2.png,b\n")
    with pytest.raises(UserError, match=r"1 problem.*1\.png: no label"):
        import_csv(source, tmp_path / "out2")


def test_names_in_a_table_are_normalised(tmp_path: Path, write_pattern: Write) -> None:
    table = "file,condition,group\n0.png,nv ,10\n1.png,\u00a0nv,10.0\n2.png,cafe\u0301,11\n"
    cohort = import_csv(csv_source(tmp_path, write_pattern, table), tmp_path / "out")
    assert cohort.conditions == ["caf\u00e9", "nv"]
    assert cohort.rows["group"].tolist() == ["10", "10", "11"]


@pytest.mark.parametrize(
    ("listed", "difference"),
    [("0.PNG", "in case"), ("Cafe\u0301.png", "in their Unicode form"), ("photos/CAF\u00c9.png", "in case")],
)
def test_absent_files_with_almost_the_name_of_one(
    tmp_path: Path, write_pattern: Write, listed: str, difference: str
) -> None:
    write_pattern(tmp_path / "in/Caf\u00e9.png", seed=9)
    source = csv_source(tmp_path, write_pattern, f"file,condition\n{listed},a\n")
    with pytest.raises(UserError, match=f"absent, but there is .*, whose name differs only {difference}"):
        import_csv(source, tmp_path / "out", allow_unlisted=True)


def test_columns_without_name_and_content_are_left_out(tmp_path: Path, write_pattern: Write) -> None:
    table = ",file,condition,,\n7,0.png,a,,\n8,1.png,b,,\n9,2.png,b,,\n,,,,\n"
    rows = import_csv(csv_source(tmp_path, write_pattern, table), tmp_path / "out").rows
    assert [column for column in rows.columns if "Unnamed" in column] == ["Unnamed: 0"]
    assert rows["condition"].tolist() == ["a", "b", "b"]


def test_options_are_named_where_a_column_is_missing(tmp_path: Path, write_pattern: Write) -> None:
    source = csv_source(tmp_path, write_pattern, "photo,dx\n0.png,a\n")
    with pytest.raises(UserError, match=r"no column file; there are photo, dx\. .*--file-column"):
        import_csv(source, tmp_path / "out")
    with pytest.raises(UserError, match=r"no column condition; there are photo, dx\. .*--condition-column"):
        import_csv(source, tmp_path / "out", file_column="photo")
    with pytest.raises(UserError, match=r"no column patient; .*--group-column"):
        import_csv(
            source, tmp_path / "out", file_column="photo", condition_column="dx", group_column="patient"
        )


def test_columns_of_the_manifest_that_others_stand_for(tmp_path: Path, write_pattern: Write) -> None:
    """With the label in `dx` and the patient in `id`, the table's own condition and group are kept apart."""
    table = "file,condition,group,dx,id,Fold\n0.png,x,y,a,1,test\n1.png,x,y,b,2,\n2.png,x,y,b,3,\n"
    source = csv_source(tmp_path, write_pattern, table)
    rows = import_csv(source, tmp_path / "out", condition_column="dx", group_column="id").rows
    assert rows[["condition", "group", "fold"]].to_numpy().tolist() == [
        ["a", "1", "test"],
        ["b", "2", ""],
        ["b", "3", ""],
    ]
    assert set(rows["original_condition"]) == {"x"} and set(rows["original_group"]) == {"y"}


def test_columns_that_differ_in_case_only(tmp_path: Path, write_pattern: Write) -> None:
    table = "file,condition,Group,GROUP\n0.png,a,1,2\n"
    with pytest.raises(UserError, match="Group and GROUP could be the column group"):
        import_csv(csv_source(tmp_path, write_pattern, table), tmp_path / "out", allow_unlisted=True)


def test_a_column_that_looks_like_patients_is_asked_about(
    tmp_path: Path, write_pattern: Write, caplog: pytest.LogCaptureFixture
) -> None:
    source = csv_source(
        tmp_path, write_pattern, "file,condition,Patient ID\n0.png,a,1\n1.png,b,1\n2.png,b,1\n"
    )
    import_csv(source, tmp_path / "out")
    assert "--group-column Patient ID" in caplog.text
    caplog.clear()
    import_csv(source, tmp_path / "out2", group_column="patient id")
    assert "--group-column" not in caplog.text
    assert "1 (a, b)" in caplog.text  # one patient under two conditions


def test_dataset_json_round_trip(cohort: Cohort, tmp_path: Path) -> None:
    copy = import_dataset_json(cohort.root, tmp_path / "out")
    assert copy.conditions == ["x", "y"]
    assert copy.labels.tolist() == cohort.labels.tolist()
    np.testing.assert_array_equal(copy.images(16), cohort.images(16))


def test_dataset_json_zip_with_numbers_and_one_hot(
    tmp_path: Path, write_pattern: Write, zipped: Zipped
) -> None:
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


def dataset_source(folder: Path, write_pattern: Write, content: object) -> Path:
    """A folder with the images 0.png and 1.png and a dataset.json of this content."""
    for number in range(2):
        write_pattern(folder / f"{number}.png", seed=number)
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def test_class_numbers_are_bounded_by_those_that_occur(tmp_path: Path, write_pattern: Write) -> None:
    labels = [["0.png", 999_999], ["1.png", 3]]
    source = dataset_source(tmp_path / "in", write_pattern, {"labels": labels})
    assert import_dataset_json(source, tmp_path / "out").conditions == ["class 3", "class 999999"]
    with pytest.raises(UserError, match="1000000 classes, but only 2 names"):
        import_dataset_json(source, tmp_path / "out2", conditions=["a", "b"])


@pytest.mark.parametrize("number", [10**6, 10**12, 10**4000])
def test_absurd_class_numbers_are_refused_shortly(tmp_path: Path, write_pattern: Write, number: int) -> None:
    source = dataset_source(tmp_path / "in", write_pattern, {"labels": [["0.png", number], ["1.png", 3]]})
    with pytest.raises(UserError, match=r"1000000.* is not a class number from 0 to 999999") as error:
        import_dataset_json(source, tmp_path / "out")
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("names", [5, "ab", ["a", None], ["a", "nan"], {"a": 1, "b": 2}])
def test_names_of_conditions_that_are_none(tmp_path: Path, write_pattern: Write, names: object) -> None:
    content = {"labels": [["0.png", 0], ["1.png", 1]], "conditions": names}
    source = dataset_source(tmp_path / "in", write_pattern, content)
    with pytest.raises(UserError, match=r"dataset\.json: expected"):
        import_dataset_json(source, tmp_path / "out")


def test_one_name_for_two_classes(tmp_path: Path, write_pattern: Write) -> None:
    content = {"labels": [["0.png", 0], ["1.png", 1]], "conditions": ["nv ", "nv"]}
    with pytest.raises(UserError, match="a name stands for two classes: nv, nv"):
        import_dataset_json(dataset_source(tmp_path / "in", write_pattern, content), tmp_path / "out")


def test_dataset_json_in_the_only_folder_of_a_zip(
    tmp_path: Path, write_pattern: Write, zipped: Zipped
) -> None:
    dataset_source(tmp_path / "in/photos", write_pattern, {"labels": [["0.png", 0], ["1.png", 1]]})
    cohort = import_dataset_json(zipped(tmp_path / "in", tmp_path / "in.zip"), tmp_path / "out")
    assert cohort.rows["file"].tolist() == ["images/photos/0.png", "images/photos/1.png"]


def test_images_without_a_label_are_named(
    tmp_path: Path, write_pattern: Write, caplog: pytest.LogCaptureFixture
) -> None:
    source = dataset_source(tmp_path / "in", write_pattern, {"labels": [["0.png", 0]]})
    import_dataset_json(source, tmp_path / "out")
    assert "1 images without a label are left out: 1.png" in caplog.text


def test_csv_warns_of_lesions_in_several_groups(
    tmp_path: Path, write_pattern: Write, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        write_pattern(tmp_path / f"in/{number}.png", seed=number)
    table = tmp_path / "in/t.csv"
    table.write_text("file,condition,group,lesion_id\n0,a,p,l1\n1,a,q,l1\n2,a,q,l2\n3,a,r,unknown\n")
    import_csv(table, tmp_path / "out")
    assert "same lesion_id are in different groups: l1." in caplog.text
