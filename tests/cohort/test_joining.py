"""Joined cohorts: each image keeps its origin, and no patient gets into two folds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.cohort import Cohort, join_cohorts
from morphoscope.configs import UserError

Write = Callable[..., np.ndarray]
Make = Callable[..., Cohort]

SYNTHETIC = {
    "source": "synthetic",
    "generator": "abc",
    "trained_on_folds": "[]",
    "trained_on_cohort": "1234567890abcdef",
}


@pytest.fixture
def make(tmp_path: Path, write_pattern: Write) -> Make:
    """make("name", seed, group=[…], …): a saved cohort of images/0.png …, one per cell of the lists."""

    def make(name: str, seed: int = 0, **columns: object) -> Cohort:
        count = max([len(cells) for cells in columns.values() if isinstance(cells, list)], default=2)
        root = tmp_path / name
        files = [f"images/{number}.png" for number in range(count)]
        for number, file in enumerate(files):
            write_pattern(root / file, seed=seed + number)
        rows = pd.DataFrame({"file": files, "condition": "x"}).assign(**columns)
        Cohort.from_rows(root, rows).save()
        return Cohort.load(root)

    return make


def test_rows_images_and_masks_are_kept_in_a_folder_per_cohort(
    make: Make, write_pattern: Write, tmp_path: Path
) -> None:
    write_pattern(tmp_path / "close/masks/0.png", seed=50)
    close = make("close", 0, condition=["b", "a"], mask=["masks/0.png", ""], age=["5", "6"])
    far = make("far", 10, condition=["c", "a"], site="arm", view="panoramic")
    joined = join_cohorts([close, far], tmp_path / "both")
    assert joined.rows["file"].tolist() == [
        "close/images/0.png",
        "close/images/1.png",
        "far/images/0.png",
        "far/images/1.png",
    ]
    assert joined.conditions == ["a", "b", "c"]
    assert joined.rows["condition"].tolist() == ["b", "a", "c", "a"]
    assert joined.rows["view"].tolist() == ["other", "other", "panoramic", "panoramic"]
    assert joined.rows["mask"].tolist() == ["close/masks/0.png", "", "", ""]
    assert joined.rows["age"].tolist() == ["5", "6", "", ""]
    assert joined.rows["site"].tolist() == ["", "", "arm", "arm"]
    for part, name in ((close, "close"), (far, "far")):
        for file in part.rows["file"]:
            assert (joined.root / name / file).read_bytes() == (part.root / file).read_bytes()
    assert joined.check().ok


def test_a_named_group_is_one_patient_and_other_images_stay_apart(make: Make, tmp_path: Path) -> None:
    near = make("near", 0, group=["p1", "", "images/1.png"])  # the third is a crop of the second
    far = make("far", 10, group=["p1", "", ""])
    groups = join_cohorts([near, far], tmp_path / "both").rows["group"].tolist()
    assert groups == [
        "p1",
        "near/images/1.png",
        "near/images/1.png",
        "p1",
        "far/images/1.png",
        "far/images/2.png",
    ]


def test_cohorts_with_the_same_name_and_zips(make: Make, tmp_path: Path) -> None:
    first = make("a/cohort", 0).save_as(tmp_path / "a/Cohort.zip")
    second, third = make("b/cohort", 10), make("c/cohort", 20)
    joined = join_cohorts([first, second, third], tmp_path / "joined.zip")
    folders = joined.rows["file"].str.partition("/")[0].tolist()
    assert folders == ["Cohort", "Cohort", "cohort-2", "cohort-2", "cohort-3", "cohort-3"]
    np.testing.assert_array_equal(joined.image(3), second.image(1))


def test_folds_are_kept_where_every_image_has_one(make: Make, tmp_path: Path) -> None:
    near = make("near", 0, group=["p", "q"], fold=["0", "test"])
    far = make("far", 10, group=["p", "r"], fold=["0", "1"])
    assert join_cohorts([near, far], tmp_path / "both").rows["fold"].tolist() == ["0", "test", "0", "1"]


@pytest.mark.parametrize("test_fold_only", [False, True])
def test_otherwise_only_the_test_fold_is_kept_and_split_keeps_it(
    make: Make, tmp_path: Path, test_fold_only: bool
) -> None:
    near = make("near", 0, group=["p", "q", "r"], fold=["0", "test", "1"])
    far = make("far", 10, group=["p", "q", "r"], fold=["1", "0", "0"] if test_fold_only else "")
    joined = join_cohorts([near, far], tmp_path / "both", test_fold_only=test_fold_only)
    assert joined.rows["fold"].tolist() == ["", "test", "", "", "", ""]
    folds = joined.split(2).rows["fold"].tolist()
    assert folds[1] == folds[4] == "test"  # the whole patient
    assert folds[0] == folds[3] != folds[2] == folds[5]


def test_a_group_in_two_folds_is_named_and_nothing_is_written(make: Make, tmp_path: Path) -> None:
    near = make("near", 0, group=["p", "q"], fold=["0", "test"])
    far = make("far", 10, group=["p", "q"], fold=["0", "1"])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(
        UserError, match=r"1 group\(s\).*two folds: q \(1, test\).*--test-fold-only.*--test 0"
    ):
        join_cohorts([near, far], tmp_path / "both")
    assert sorted(tmp_path.iterdir()) == before


def test_one_image_in_two_cohorts_is_named(make: Make, tmp_path: Path) -> None:
    near, far = make("near", 0), make("far", 1)
    with pytest.raises(UserError, match=r"1 image\(s\).*far/images/0\.png = near/images/1\.png"):
        join_cohorts([near, far], tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_after_a_damaged_image_nothing_is_left(make: Make, tmp_path: Path) -> None:
    near, far = make("near", 0), make("far", 10)
    (far.root / "images/1.png").unlink()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"far/images/1\.png"):
        join_cohorts([near, Cohort.load(far.root)], tmp_path / "both")
    assert sorted(tmp_path.iterdir()) == before


def test_a_destination_in_use_is_refused(make: Make, tmp_path: Path) -> None:
    near, far = make("near", 0), make("far", 10)
    with pytest.raises(UserError, match="already exists"):
        join_cohorts([near, far], near.root)


@pytest.mark.parametrize("name", ["taken", "taken.zip"])
def test_a_destination_in_use_is_refused_before_any_image_is_read(
    make: Make, tmp_path: Path, name: str
) -> None:
    near, far = make("near", 0), make("far", 10)
    (far.root / "images/1.png").unlink()
    (tmp_path / name).write_text("in the way")
    with pytest.raises(UserError, match="already exists"):
        join_cohorts([near, far], tmp_path / name)


@pytest.mark.parametrize(("first", "second", "whole"), [("true", "true", True), ("true", "", False)])
def test_a_phantom_cohort_joined_with_photographs_is_not_a_phantom_cohort(
    make: Make, tmp_path: Path, first: str, second: str, whole: bool
) -> None:
    near = make("near", 0, phantom=first)
    far = make("far", 10, **({"phantom": second} if second else {}))
    assert join_cohorts([near, far], tmp_path / "both").phantom is whole


def test_synthetic_images_stay_apart_from_real_ones(make: Make, tmp_path: Path) -> None:
    real, first, second = make("real"), make("first", 10, **SYNTHETIC), make("second", 20, **SYNTHETIC)
    with pytest.raises(UserError, match=r"first/images/0\.png.*synthetic.*--synthetic"):
        join_cohorts([real, first], tmp_path / "both")
    rows = join_cohorts([first, second], tmp_path / "both").rows
    assert set(rows["source"]) == {"synthetic"}
    assert set(rows["trained_on_cohort"]) == {"1234567890abcdef"}


def test_one_cohort_is_not_joined(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two"):
        join_cohorts([make("near")], tmp_path / "both")


def test_similar_names_in_two_cohorts_are_warned_of(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near = make("near", 0, condition=["Mel", "nv"], group=["P1", "q"])
    far = make("far", 10, condition=["mel", "mel"], group=["p1", "q"])
    joined = join_cohorts([near, far], tmp_path / "both")
    assert joined.conditions == ["Mel", "mel", "nv"]
    assert "'Mel' and 'mel' differ only in case" in caplog.text
    assert "'P1' and 'p1' differ only in case" in caplog.text
    assert "q (mel, nv)" in caplog.text
