"""The phantom cohort: reproducible, labelled, and true to its conditions on every skin tone."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from morphoscope.cohort import Cohort
from morphoscope.cohort.phantom.drawing import PHANTOM_CONDITIONS, PhantomImage, phantom, phantom_image
from morphoscope.cohort.phantom.fields import inside, scatter, smooth_noise
from morphoscope.cohort.phantom.skin import skin_colour
from morphoscope.configs import UserError

PALE, DARK = ("HMI", "TSC"), ("IP", "MA", "ML", "NF1")


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[PhantomImage]]:
    """Twelve images (six patients) of each condition at 64 px."""
    return {name: [phantom_image(name, i, size=64, seed=3) for i in range(12)] for name in PHANTOM_CONDITIONS}


def lesion_contrast(image: PhantomImage) -> float:
    """Mean grey value of the lesion less that of a ring of skin around it, so that shading cancels."""
    grey = image.image.mean(axis=2)
    near = cv2.dilate(image.mask, np.ones((9, 9), np.uint8)) > 0
    edge = cv2.dilate(image.mask, np.ones((3, 3), np.uint8)) > 0
    return float(grey[image.mask > 0].mean() - grey[near & ~edge].mean())


def parts(image: PhantomImage) -> int:
    """Number of connected lesions of at least 3 pixels."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(image.mask)
    return int((statistics[1:, cv2.CC_STAT_AREA] >= 3).sum())


@pytest.mark.parametrize("condition", PHANTOM_CONDITIONS)
def test_the_same_arguments_give_the_same_image(condition: str) -> None:
    first, again = (phantom_image(condition, 5, size=64, seed=1) for _ in range(2))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    for other in (
        phantom_image(condition, 5, size=64, seed=2),
        phantom_image(condition, 4, size=64, seed=1),
    ):
        assert not np.array_equal(first.image, other.image)


def test_size_changes_the_resolution_not_the_content() -> None:
    small, large = (phantom_image("NF1", 0, size=size) for size in (64, 128))
    reduced = cv2.resize(large.mask, (64, 64), interpolation=cv2.INTER_AREA) >= 128
    overlap = (reduced & (small.mask > 0)).sum() / (reduced | (small.mask > 0)).sum()
    assert overlap > 0.95
    assert small.skin_tone == large.skin_tone


@pytest.mark.parametrize("condition", PHANTOM_CONDITIONS)
def test_masks_mark_a_part_of_the_skin(condition: str, drawn: dict[str, list[PhantomImage]]) -> None:
    for image in drawn[condition]:
        assert image.image.shape == (64, 64, 3)
        assert image.image.dtype == image.mask.dtype == np.uint8
        assert set(np.unique(image.mask)) == {0, 255}


def test_conditions_differ_in_extent_and_number_of_lesions(drawn: dict[str, list[PhantomImage]]) -> None:
    area = {name: np.mean([image.mask.mean() / 255 for image in images]) for name, images in drawn.items()}
    number = {name: np.mean([parts(image) for image in images]) for name, images in drawn.items()}
    assert area["MA"] > area["NF1"] > area["ML"]
    assert area["HMI"] > area["TSC"] > area["Other"]
    assert number["ML"] > 25 > number["NF1"] > 2.5
    assert 2.5 < number["TSC"] < 7
    assert max((parts(image) for image in drawn["NF1"]), default=0) <= 7


def test_lesions_are_darker_or_paler_as_the_condition_demands(drawn: dict[str, list[PhantomImage]]) -> None:
    for condition in DARK:
        assert max(lesion_contrast(image) for image in drawn[condition]) < -12, condition
    for condition in PALE:
        assert min(lesion_contrast(image) for image in drawn[condition]) > 12, condition


def test_skin_tones_reach_from_very_light_to_very_dark(drawn: dict[str, list[PhantomImage]]) -> None:
    for condition in PHANTOM_CONDITIONS:
        tones = [phantom_image(condition, 2 * patient, size=32).skin_tone for patient in range(30)]
        assert min(tones) < -40 and max(tones) > 50, condition
        assert max(np.diff(np.sort(tones))) < 12, condition
    everything = [image for images in drawn.values() for image in images]
    brightness = [float(image.image[image.mask == 0].mean()) for image in everything]
    assert np.corrcoef(brightness, [image.skin_tone for image in everything])[0, 1] > 0.9


def test_skin_colour_has_the_requested_typology_angle() -> None:
    for ita in (-45.0, -10.0, 25.0, 55.0):
        lab = cv2.cvtColor(skin_colour(ita).reshape(1, 1, 3), cv2.COLOR_LRGB2LAB)[0, 0]
        assert np.degrees(np.arctan2(lab[0] - 50, lab[2])) == pytest.approx(ita, abs=1.0)


def test_two_images_share_a_patient(drawn: dict[str, list[PhantomImage]]) -> None:
    for images in drawn.values():
        groups = [image.group for image in images]
        assert groups[0::2] == groups[1::2]
        assert len(set(groups)) == len(groups) // 2
        assert all(
            one.skin_tone == two.skin_tone for one, two in zip(images[0::2], images[1::2], strict=True)
        )


def test_a_cohort_is_written_and_its_rows_are_phantoms(tmp_path: Path) -> None:
    cohort = phantom(tmp_path / "cohort", per_condition=4, size=32)
    rows = cohort.rows
    assert len(rows) == 4 * 7
    assert cohort.conditions == sorted(PHANTOM_CONDITIONS)
    assert set(rows["phantom"]) == {"true"}
    assert set(rows["source"]) == {"real"} and set(rows["view"]) == {"focused"}
    for name in ("file", "mask", "group"):
        assert rows[name].str.contains("phantom").all()
    for row in range(len(rows)):
        assert cohort.image(row).shape == (32, 32, 3)
        mask = np.asarray(Image.open(cohort.root / rows["mask"][row]))
        assert mask.shape == (32, 32) and mask.max() == 255
    assert cohort.check().ok
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_other_loaders_find_no_image_that_dataset_json_lacks(tmp_path: Path) -> None:
    """Loaders for StyleGAN walk through all folders, hidden ones too, and look each image up."""
    cohort = phantom(tmp_path / "cohort", per_condition=1, size=32)
    cohort.images(32)
    listed = {file for file, _ in json.loads((cohort.root / "dataset.json").read_text())["labels"]}
    Image.init()
    walked = {path for path in cohort.root.rglob("*") if path.suffix.lower() in Image.EXTENSION}
    assert {path.relative_to(cohort.root).as_posix() for path in walked} == listed


def test_masks_of_earlier_versions_are_read_and_leave_the_digest_as_it_is(tmp_path: Path) -> None:
    new = phantom(tmp_path / "new", per_condition=1, size=32)
    old = new.save_as(tmp_path / "old").root
    for path in (old / "masks").iterdir():
        path.rename(path.with_suffix(""))
    manifest = old / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(".png.mask", ".png"))
    cohort = Cohort.load(old)
    assert cohort.rows["mask"][0] == "masks/phantom-HMI-0000.png"
    assert cohort.digest == new.digest
    np.testing.assert_array_equal(cohort.lesion_mask(0, 32), new.lesion_mask(0, 32))
    assert cohort.check().ok


def test_images_do_not_depend_on_their_number(tmp_path: Path) -> None:
    few = phantom(tmp_path / "few", per_condition=2, size=32, seed=7)
    many = phantom(tmp_path / "many", per_condition=5, size=32, seed=7)
    for folder in ("images", "masks"):
        for path in (few.root / folder).iterdir():
            assert path.read_bytes() == (many.root / folder / path.name).read_bytes()
    shared = many.rows[many.rows["file"].isin(few.rows["file"])].reset_index(drop=True)
    assert shared.equals(few.rows)


def test_arguments_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown phantom condition 'XY'"):
        phantom_image("XY", 0)
    with pytest.raises(UserError, match="size takes a whole number from 32 to 1024"):
        phantom_image("HMI", 0, size=16)
    with pytest.raises(UserError, match="seed takes a whole number of at least 0"):
        phantom_image("HMI", 0, seed=-1)
    with pytest.raises(UserError, match="per_condition"):
        phantom(tmp_path / "none", per_condition=0)
    with pytest.raises(UserError, match="size takes a whole number from 32 to 1024"):
        phantom(tmp_path / "huge", per_condition=1, size=4096)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match="full"):
        phantom(tmp_path / "full", per_condition=1, size=32)
    assert (tmp_path / "full" / "photo.jpg").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), cells=st.integers(1, 40))
def test_noise_is_finite_and_of_unit_scale(seed: int, cells: int) -> None:
    field = smooth_noise(np.random.default_rng(seed), cells, 48)
    assert field.shape == (48, 48) and field.dtype == np.float32
    assert np.isfinite(field).all() and np.abs(field).max() < 15


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), number=st.integers(1, 20), gap=st.floats(0, 0.05))
def test_scattered_discs_keep_their_distance(seed: int, number: int, gap: float) -> None:
    rng = np.random.default_rng(seed)
    discs = scatter(rng, rng.uniform(0.02, 0.12, number), gap, 0.1)
    assert discs
    for i, (x, y, radius) in enumerate(discs):
        assert 0.1 <= x <= 0.9 and 0.1 <= y <= 0.9
        assert all(np.hypot(x - px, y - py) > radius + other + gap for px, py, other in discs[:i])


def test_edges_are_soft_and_monotonic() -> None:
    weight = inside(np.linspace(-0.2, 0.2, 41, dtype=np.float32), 0.1)
    assert weight[0] == 1 and weight[-1] == 0
    assert weight[20] == pytest.approx(0.5, abs=1e-6)
    assert (np.diff(weight) <= 0).all()
