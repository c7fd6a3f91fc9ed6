"""Synthetic cohorts and exported pictures: provenance and marks."""

import json

import numpy as np
import pytest
from PIL import Image

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.commands import Morphing, Sampling
from morphoscope.generate import augment, load
from morphoscope.generate.exports import write_morph, write_samples


@pytest.fixture(scope="module")
def model(tiny_snapshot):
    return load(tiny_snapshot)


def test_rows_carry_their_provenance(model, tiny_cohort, tmp_path):
    augment(model, tmp_path / "synthetic", per_condition=3, seed=10, psi=0.9)
    cohort = Cohort.load(tmp_path / "synthetic")
    assert len(cohort) == 6
    assert set(cohort.rows["source"]) == {"synthetic"}
    assert set(cohort.rows["fold"]) == {""}
    assert cohort.rows["seed"].is_unique
    row = cohort.rows.iloc[0]
    assert row["generator"] == model.digest
    assert json.loads(row["label"]) == {row["condition"]: 1.0}
    assert json.loads(row["trained_on_folds"]) == ["0", "1"]
    assert row["trained_on_cohort"] == tiny_cohort.digest
    assert float(row["psi"]) == 0.9
    np.testing.assert_array_equal(cohort.image(0), model.sample(row["condition"], [int(row["seed"])], 0.9)[0])
    assert cohort.check().ok


def test_every_picture_says_that_it_is_synthetic(model, tmp_path):
    augment(model, tmp_path / "cohort", per_condition=1)
    write_samples(model, tmp_path / "sample", Sampling(count=2))
    write_morph(model, tmp_path / "morph", "dark", "pale", Morphing(steps=3))
    pictures = list(tmp_path.rglob("*.png"))
    assert len(pictures) == 2 + (4 + 1) + (3 + 1)
    for path in pictures:
        marks = Image.open(path).text
        assert marks["Synthetic"].startswith("yes")
        assert json.loads(marks["Morphoscope"])["generator"] == model.digest


def test_samples_are_named_by_seed(model, tmp_path):
    write_samples(model, tmp_path, Sampling(conditions=["pale"], count=2, seed=7))
    assert sorted(p.name for p in (tmp_path / "pale").iterdir()) == ["seed0007.png", "seed0008.png"]


def test_folder_that_is_not_empty_is_refused(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        augment(model, tmp_path, per_condition=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
