"""Copies of training images are dropped from a synthetic cohort on request, and counted in its manifest."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from morphoscope.apps.commands.generate import app
from morphoscope.configs import UserError
from morphoscope.generate import GeneratorModel, augment, load
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.metrics import CopyFilter
from morphoscope.generate.synthetic import dropped_copies


def described(model, **changes):
    """The same weights with other metadata."""
    values = {**model.metadata.as_json(), **changes}
    metadata = SnapshotMetadata.from_json(values, Path("generator.safetensors"))
    return GeneratorModel(model.G, model.class_means, metadata, model.digest)


@pytest.fixture(scope="module")
def model(tiny_snapshot):
    return load(tiny_snapshot)


@pytest.fixture
def half_copier(model, tiny_cohort, monkeypatch):
    """A generator whose every second image is a training image of its condition."""
    reals = tiny_cohort.select(tiny_cohort.rows["fold"].isin(["0", "1"]))
    pixels, labels = reals.images(model.resolution), reals.labels

    def stream(self, condition, seeds, psi):
        copied = pixels[labels == reals.conditions.index(condition)]
        honest = self.sample(condition, seeds, psi)
        for seed, image in zip(seeds, honest, strict=True):
            k = seed // len(self.conditions)  # number within the condition
            yield copied[k % len(copied)] if k % 2 else image

    monkeypatch.setattr(GeneratorModel, "stream", stream)
    return model


def test_copies_are_dropped_on_request_and_counted(half_copier, tiny_cohort, make_network, tmp_path):
    copies = CopyFilter(make_network(), half_copier, tiny_cohort, 0.25)
    cohort = augment(half_copier, tmp_path / "synthetic", per_condition=8, copies=copies)
    assert len(cohort) == len(list((cohort.root / "images").iterdir())) == 8
    assert dropped_copies(cohort) == {"dark": 4, "pale": 4}
    record = json.loads(cohort.rows["copy_filter"][0])
    assert record["network"] == "averages" and record["quantile"] == 0.25
    assert (record["generated"], record["dropped"], record["held_out"]) == (
        8,
        4,
        6,
    )  # fold 2, which has 3 of 'dark'
    assert (cohort.rows["nearest_training"].astype(float) >= record["distance"]).all()
    assert cohort.check().ok
    assert dropped_copies(augment(half_copier, tmp_path / "all", per_condition=2)) == {}


def test_a_stopped_filter_ends_with_the_same_cohort(
    half_copier, tiny_cohort, make_network, tmp_path, monkeypatch
):
    copies = CopyFilter(make_network(), half_copier, tiny_cohort, 0.25)
    expected = augment(half_copier, tmp_path / "whole", per_condition=8, copies=copies).rows
    measured = copies.distances
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        distances = iter([measured])  # of the first condition; stopped before the second one is filtered

        def stopped(images):
            for distance in distances:
                return distance(images)
            raise KeyboardInterrupt

        patch.setattr(copies, "distances", stopped)
        augment(half_copier, tmp_path / "stopped", per_condition=8, copies=copies)
    assert len(list((tmp_path / "stopped/images").iterdir())) == 4 + 8
    cohort = augment(half_copier, tmp_path / "stopped", per_condition=8, copies=copies)
    pd.testing.assert_frame_equal(cohort.rows, expected)
    assert sorted(f"images/{path.name}" for path in (tmp_path / "stopped/images").iterdir()) == sorted(
        expected["file"]
    )


def test_nothing_is_left_if_all_images_of_a_condition_are_copies(
    half_copier, tiny_cohort, make_network, tmp_path, monkeypatch
):
    copies = CopyFilter(make_network(), half_copier, tiny_cohort, 0.25)
    monkeypatch.setattr(CopyFilter, "distances", lambda self, images: np.zeros(len(images)))
    with pytest.raises(UserError, match="dark: all 3 images are closer"):
        augment(half_copier, tmp_path / "synthetic", per_condition=3, copies=copies)
    assert list(tmp_path.iterdir()) == []


def test_a_filter_needs_the_cohort_of_the_training_and_held_out_folds(
    model, tiny_cohort, make_network, tiny_snapshot, tmp_path
):
    with pytest.raises(UserError, match="another cohort or split"):
        CopyFilter(make_network(), described(model, cohort_digest="ab"), tiny_cohort, 0.05)
    seen = described(model, trained_on_folds=["0", "1", "2"])  # only the test fold is left, and not used
    with pytest.raises(UserError, match="--exclude-folds"):
        CopyFilter(make_network(), seen, tiny_cohort, 0.05)
    arguments = ["augment", str(tiny_snapshot), str(tmp_path / "x"), "--drop-closer", "0.05"]
    assert "give both or neither" in str(CliRunner().invoke(app, arguments).exception)


def test_a_limit_from_few_photographs_is_that_of_all_conditions(model, tiny_cohort, make_network):
    few, enough = (CopyFilter(make_network(), model, tiny_cohort, quantile) for quantile in (0.3, 0.4))
    assert few.limit("dark").held_out == 6 and few.limit("dark") == few.limit("pale")
    assert enough.limit("dark").held_out == 3
