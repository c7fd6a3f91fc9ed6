"""The Cohort: loading, selecting, arrays, saving."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from morphoscope.cohort import Cohort, phantom, read_image, write_image
from morphoscope.cohort.manifest import dataset_json
from morphoscope.cohort.names import normalise_name
from morphoscope.configs import UserError
from morphoscope.runtime import write_text

Write = Callable[..., np.ndarray]


def rows_of(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"file": ["a.png", "b.png"], "condition": ["x", "y"], **columns})


def test_defaults_and_extra_columns(tmp_path: Path) -> None:
    cohort = Cohort.from_rows(tmp_path, rows_of(age=[5, None], label=[{"x": 1.0}, ""]))
    assert cohort.rows["group"].tolist() == ["a.png", "b.png"]
    assert cohort.rows["view"].tolist() == ["other", "other"]
    assert cohort.rows["source"].tolist() == ["real", "real"]
    assert cohort.rows["fold"].tolist() == ["", ""]
    assert cohort.rows["age"].tolist() == ["5.0", ""]
    assert json.loads(cohort.rows["label"][0]) == {"x": 1.0}


def test_labels_index_the_sorted_conditions(cohort: Cohort) -> None:
    assert cohort.conditions == ["x", "y"]
    assert cohort.labels.dtype == np.int64
    assert cohort.labels.tolist() == [0, 1] * 6


def test_condition_named_like_a_missing_value(tmp_path: Path) -> None:
    Cohort.from_rows(tmp_path, pd.DataFrame({"file": ["a.png"], "condition": ["NA"]})).save()
    assert Cohort.load(tmp_path).conditions == ["NA"]


def test_save_and_load_give_the_same_cohort(cohort: Cohort) -> None:
    again = Cohort.load(cohort.root)
    pd.testing.assert_frame_equal(again.rows, cohort.rows)
    assert again.digest == cohort.digest
    labels = json.loads((cohort.root / "dataset.json").read_text())
    assert labels["labels"][1] == ["images/01.png", 1]
    assert labels["conditions"] == ["x", "y"]


def labels_on_disk(root: Path) -> dict[str, str]:
    """The condition of each file according to dataset.json."""
    content = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    assert len(set(content["conditions"])) == len(content["conditions"])
    return {file: content["conditions"][number] for file, number in content["labels"]}


def test_names_are_normalised_once_before_anything_is_written(tmp_path: Path) -> None:
    names = ["nv ", "nv", "Caf\u00e9", "Cafe\u0301", "10.0", "10"]
    rows = pd.DataFrame({"file": [f"{i}.png" for i in range(6)], "condition": names, "group": names[::-1]})
    cohort = Cohort.from_rows(tmp_path, rows.assign(fold=[0.0, 0, "1", "1.0", None, ""]))
    cohort.save()
    assert cohort.conditions == ["10", "Caf\u00e9", "nv"]
    assert cohort.rows["condition"].tolist() == ["nv", "nv", "Caf\u00e9", "Caf\u00e9", "10", "10"]
    assert cohort.rows["group"].tolist() == ["10", "10", "Caf\u00e9", "Caf\u00e9", "nv", "nv"]
    assert cohort.rows["fold"].tolist() == ["0", "0", "1", "1", "", ""]
    assert labels_on_disk(tmp_path) == dict(zip(rows["file"], cohort.rows["condition"], strict=True))
    pd.testing.assert_frame_equal(Cohort.load(tmp_path).rows, cohort.rows)


def test_a_manifest_on_disk_is_read_as_it_is(tmp_path: Path) -> None:
    """Models are bound to digests, which cover the names as an earlier version wrote them."""
    (tmp_path / "manifest.csv").write_text("file,condition,group\na.png,Cafe\u0301,10.0\n", encoding="utf-8")
    row = Cohort.load(tmp_path).rows.loc[0]
    assert (row["condition"], row["group"]) == ("Cafe\u0301", "10.0")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"condition": ["n\nv", "y"]}, "condition 'n\\\\nv': a line break"),
        ({"group": ["p\x00", "q"]}, "group 'p\\\\x00'"),
        ({"note": ["\udce9", ""]}, "not valid Unicode"),
        ({"file": ["a.png ", "b.png"]}, "a blank at the start or end"),
        ({"age": ["1", "2"], "age ": ["3", "4"]}, "age: the name of more than one column"),
    ],
)
def test_rows_that_a_manifest_cannot_hold(
    tmp_path: Path, columns: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Cohort.from_rows(tmp_path, rows_of().assign(**columns))


def test_a_list_of_conditions_is_normalised_too(tmp_path: Path) -> None:
    assert Cohort.from_rows(tmp_path, rows_of(), ["y ", "x", "10.0"]).conditions == ["y", "x", "10"]
    with pytest.raises(UserError, match="a condition is listed twice"):
        Cohort.from_rows(tmp_path, rows_of(), ["x", "y", "x "])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6)), min_size=1))
def test_manifest_and_labels_agree_for_any_names(cells: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        files = [f"{number}.png" for number in range(len(cells))]
        rows = pd.DataFrame(cells, columns=["condition", "group", "note"], dtype=object)
        try:
            cohort = Cohort.from_rows(root, rows.assign(file=files))
        except UserError:
            assert list(root.iterdir()) == []
            return
        cohort.save()
        again = Cohort.load(root)
        pd.testing.assert_frame_equal(again.rows, cohort.rows)
        assert again.conditions == cohort.conditions
        assert labels_on_disk(root) == dict(zip(files, cohort.rows["condition"], strict=True))
        assert cohort.rows["condition"].tolist() == [normalise_name(condition) for condition, _, _ in cells]
        named = [normalise_name(group) or file for (_, group, _), file in zip(cells, files, strict=True)]
        assert cohort.rows["group"].tolist() == named


def test_selection_keeps_class_indices(cohort: Cohort) -> None:
    chosen = cohort.select(cohort.rows["condition"] == "y")
    assert len(chosen) == 6
    assert chosen.conditions == ["x", "y"]
    assert set(chosen.labels) == {1}
    np.testing.assert_array_equal(chosen.images(16), cohort.images(16)[1::2])
    twice = chosen.select([2, 0])
    assert twice.rows["file"].tolist() == ["images/05.png", "images/01.png"]
    np.testing.assert_array_equal(twice.images(16), cohort.images(16)[[5, 1]])
    np.testing.assert_array_equal(twice.image(0), cohort.image(5))


def test_a_selection_does_not_overwrite_the_manifest(cohort: Cohort) -> None:
    with pytest.raises(UserError, match="save_as"):
        cohort.select([0]).save()
    assert len(Cohort.load(cohort.root)) == 12


def test_crop_takes_the_centre_and_letterbox_keeps_all(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    write_image(tmp_path / "a.png", pixels)
    cohort = Cohort.from_rows(tmp_path, pd.DataFrame({"file": ["a.png"], "condition": ["x"]}))
    assert (cohort.images(10, "crop")[0] == 255).all()
    boxed = cohort.images(30, "letterbox")[0]
    np.testing.assert_array_equal(boxed[10:20], pixels)
    assert (boxed[:10] == 0).all()
    assert (boxed[20:] == 0).all()


def test_images_of_the_training_size_are_not_resampled(tmp_path: Path, write_pattern: Write) -> None:
    pixels = write_pattern(tmp_path / "a.png", seed=1, height=16, width=16)
    cohort = Cohort.from_rows(tmp_path, pd.DataFrame({"file": ["a.png"], "condition": ["x"]}))
    np.testing.assert_array_equal(cohort.images(16)[0], pixels)
    np.testing.assert_array_equal(cohort.images(16, "letterbox")[0], pixels)


def test_all_unreadable_images_are_named_at_once(cohort: Cohort) -> None:
    (cohort.root / "images/03.png").write_bytes(b"")
    (cohort.root / "images/07.png").unlink()
    (cohort.root / "images/09.png").write_bytes(b"text")
    with pytest.raises(UserError, match=r"07\.png: no such file"):
        cohort.images(16)
    (cohort.root / "images/07.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match=r"^3 image.*03\.png: empty.*07\.png: .*09\.png: not an image"):
        Cohort.load(cohort.root).images(16)
    assert list((cohort.root / ".cache").iterdir()) == []


@pytest.fixture
def masked(cohort: Cohort) -> Cohort:
    """The cohort, whose first image (24 x 32 pixels) has a mask of its left half, the second of the right."""
    left = np.zeros((24, 32), np.uint8)
    left[:, :16] = 255
    write_image(cohort.root / "left.png", left)
    write_image(cohort.root / "right.png", 255 - left)
    return Cohort.from_rows(cohort.root, cohort.rows.assign(mask=["left.png", "right.png", *[""] * 10]))


def test_a_mask_is_cropped_like_its_image(masked: Cohort) -> None:
    left, right = masked.lesion_mask(0, 12), masked.lesion_mask(1, 12)
    assert left is not None and left.shape == (12, 12) and left.dtype == bool
    assert left[:, :6].all() and not left[:, 6:].any()
    assert right is not None and np.array_equal(right, ~left)
    boxed = masked.lesion_mask(0, 32, "letterbox")
    assert boxed is not None and boxed[4:28, :16].all() and boxed.sum() == 24 * 16


def test_a_mask_follows_its_row(masked: Cohort, tmp_path: Path) -> None:
    chosen = masked.select([1, 0])
    for whole in (chosen, chosen.save_as(tmp_path / "copy.zip")):
        mask = whole.lesion_mask(0, 12)
        assert mask is not None and mask[:, 6:].all() and not mask[:, :6].any()


def test_without_mask_the_lesion_is_not_known(cohort: Cohort, masked: Cohort) -> None:
    assert cohort.lesion_mask(0, 12) is None
    assert masked.lesion_mask(2, 12) is None


def test_a_damaged_mask_is_named(masked: Cohort) -> None:
    (masked.root / "left.png").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"left\.png: not an image"):
        masked.lesion_mask(0, 12)


@pytest.mark.parametrize(("size", "fit"), [(0, "crop"), (100_000, "crop"), (16, "stretch")])
def test_bad_sizes(cohort: Cohort, size: int, fit: str) -> None:
    with pytest.raises(UserError):
        cohort.images(size, fit)  # type: ignore[arg-type]


def test_digest_depends_on_rows_and_pixels(cohort: Cohort) -> None:
    assert len(cohort.digest) == 16
    relabelled = cohort.rows.assign(condition="x")
    assert Cohort.from_rows(cohort.root, relabelled).digest != cohort.digest
    write_image(cohort.root / "images/00.png", np.zeros((8, 8, 3), np.uint8))
    assert Cohort.load(cohort.root).digest != cohort.digest


def test_image_hashes_depend_on_contents_not_names(cohort: Cohort) -> None:
    data = (cohort.root / "images/00.png").read_bytes()
    (cohort.root / "images/01.png").write_bytes(data)
    hashes = Cohort.load(cohort.root).image_hashes
    assert hashes[0] == hashes[1] == hashlib.sha256(data).hexdigest()[:12]
    assert len(set(hashes)) == len(hashes) - 1


@pytest.mark.parametrize(
    ("phantom", "source", "expected"),
    [
        (["true", "TRUE"], "real", True),
        (["true", ""], "real", False),
        (["false", "true"], "real", False),
        (["true", "false"], ["real", "synthetic"], True),
        (["false", "true"], ["real", "synthetic"], False),
        (["true", "true"], "synthetic", True),
    ],
)
def test_phantom_means_that_all_real_rows_are_phantoms(
    tmp_path: Path, phantom: list[str], source: str | list[str], expected: bool
) -> None:
    provenance = {"generator": "abc", "trained_on_folds": "[]", "trained_on_cohort": "1234567890abcdef"}
    rows = rows_of(phantom=phantom, source=source, **provenance)
    assert Cohort.from_rows(tmp_path, rows).phantom is expected
    assert Cohort.from_rows(tmp_path, rows_of()).phantom is False


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_save_as_folder_or_zip(cohort: Cohort, tmp_path: Path, name: str) -> None:
    chosen = cohort.select([1, 4])
    copy = chosen.save_as(tmp_path / "copies" / name)
    assert copy.rows["file"].tolist() == ["images/01.png", "images/04.png"]
    np.testing.assert_array_equal(copy.images(16), chosen.images(16))
    np.testing.assert_array_equal(copy.image(0), cohort.image(1))
    with pytest.raises(UserError, match="already exists"):
        chosen.save_as(tmp_path / "copies" / name)


def test_zip_is_uncompressed_and_not_changed_in_place(cohort: Cohort, tmp_path: Path) -> None:
    copy = cohort.save_as(tmp_path / "c.zip")
    with zipfile.ZipFile(tmp_path / "c.zip") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    with pytest.raises(UserError, match="save_as"):
        copy.save()


def test_manifest_path_that_leads_out_of_its_folder(cohort: Cohort, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    rows = cohort.rows.copy()
    rows.loc[0, "file"] = "../secret.png"
    rows.to_csv(cohort.root / "manifest.csv", index=False)
    with pytest.raises(UserError, match=r"'\.\./secret\.png': path leads out"):
        Cohort.load(cohort.root)
    with pytest.raises(UserError, match="leads out"):
        Cohort.load(cohort.root, strict=False).image(0)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"group": ["p", "p"], "fold": ["0", "1"]}, "group 'p' is in the folds 0, 1"),
        ({"fold": ["first", ""]}, "fold 'first'"),
        ({"view": ["side", ""]}, "view 'side'"),
        ({"source": ["fake", ""]}, "source 'fake'"),
        ({"source": ["synthetic", "real"]}, "trained_on_folds"),
        ({"condition": ["x", ""]}, r"no condition given for b\.png"),
        ({"file": ["a.png", "a.png"]}, r"more than once: a\.png"),
        ({"mask": ["../m.png", ""]}, "leads out"),
    ],
)
def test_rows_that_break_a_rule(tmp_path: Path, columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Cohort.from_rows(tmp_path, rows_of().assign(**columns))


def test_synthetic_rows_may_not_be_in_a_fold(tmp_path: Path) -> None:
    synthetic = {
        "source": "synthetic",
        "generator": "abc",
        "trained_on_folds": '["0"]',
        "trained_on_cohort": "1234567890abcdef",
    }
    assert len(Cohort.from_rows(tmp_path, rows_of(**synthetic))) == 2
    for column in ("generator", "trained_on_folds", "trained_on_cohort"):
        with pytest.raises(UserError, match=f"without a valid `{column}`"):
            Cohort.from_rows(tmp_path, rows_of(**{**synthetic, column: ""}))
    with pytest.raises(UserError, match="without a valid `ancestor_cohorts`"):
        Cohort.from_rows(tmp_path, rows_of(**synthetic, ancestor_cohorts="[" * 100_000))
    with pytest.raises(UserError, match="synthetic images may not be in a validation or test fold"):
        Cohort.from_rows(tmp_path, rows_of(**synthetic, fold="test"))


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no manifest\.csv"):
        Cohort.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"image,label\na,b\n", b"file,condition\n"])
def test_manifest_that_is_not_a_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"manifest"):
        Cohort.load(tmp_path)


def test_read_image_of_a_cohort_file(cohort: Cohort) -> None:
    np.testing.assert_array_equal(read_image(cohort.root / "images/02.png"), cohort.image(2))


def test_a_kill_between_the_two_files_of_a_split_leaves_a_usable_cohort(tmp_path, monkeypatch):
    """It ends at the worst moments, and its temporary files stay; the same command repairs all."""
    cohort = phantom(tmp_path / "c", per_condition=4, size=32)
    whole = cohort.split(folds=2, seed=0)
    for killed_at in ("manifest.csv", "dataset.json"):
        (cohort.root / f".{killed_at.replace('.', f'.{0:016x}.')}").write_text("file,cond")

        def kill(path, text, killed_at=killed_at):
            if path.name == killed_at:
                raise KeyboardInterrupt
            write_text(path, text)

        with monkeypatch.context() as patch:
            patch.setattr("morphoscope.cohort.cohort.write_text", kill)
            with pytest.raises(KeyboardInterrupt):
                whole.save()
        found = Cohort.load(cohort.root)
        assert set(found.rows["fold"]) == ({""} if killed_at == "manifest.csv" else {"0", "1"})
        assert found.check().ok
        labels = json.loads((cohort.root / "dataset.json").read_text())
        assert labels == json.loads(dataset_json(found.rows, found.conditions))
    whole.save()
    assert not list(cohort.root.glob(".*"))
