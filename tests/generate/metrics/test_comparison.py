"""The real images that a generator is compared with: held-out images must really be held out."""

import logging
from pathlib import Path

import numpy as np
import pytest

from morphoscope.configs import UserError
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.metrics import real_rows


def metadata(digest, folds, ancestors=(), **config):
    """Of a generator that was trained on these folds of a cohort, after `ancestors`."""
    values = {
        "conditions": ["dark", "pale"],
        "cohort_digest": digest,
        "trained_on_folds": folds,
        "started_from": [ancestor.model_dump() for ancestor in ancestors],
        "phantom": False,
        "config": config,
        "generator": {"z_dim": 8, "c_dim": 2, "w_dim": 8, "img_resolution": 8, "img_channels": 3},
    }
    return SnapshotMetadata.from_json(values, Path("generator.safetensors"))


def folds_of(cohort):
    return sorted(set(cohort.rows["fold"]))


def test_rows_depend_on_what_the_generator_was_trained_on(tiny_cohort, caplog):
    seen = metadata(tiny_cohort.digest, ["0", "1"])
    assert folds_of(real_rows(tiny_cohort, "test", seen)) == ["test"]
    assert folds_of(real_rows(tiny_cohort, "training", seen)) == ["0", "1"]
    assert folds_of(real_rows(tiny_cohort, "all", seen)) == ["0", "1", "2", "test"]
    assert not caplog.records


@pytest.mark.parametrize("by", ["itself", "an ancestor"])
def test_a_test_fold_that_was_trained_on_is_refused(tiny_cohort, by):
    seen = metadata(tiny_cohort.digest, ["0", "test"])
    if by == "an ancestor":
        seen = metadata("abc", ["0"], seen.lineage)
    with pytest.raises(UserError, match="trained on the test fold"):
        real_rows(tiny_cohort, "test", seen)


def test_another_cohort_may_have_been_trained_on(tiny_cohort, caplog):
    other = metadata("abc", ["0"])
    with caplog.at_level(logging.WARNING):
        assert folds_of(real_rows(tiny_cohort, "test", other)) == ["test"]
    assert "may have been trained on these images" in caplog.text
    with pytest.raises(UserError, match="not trained on this cohort"):
        real_rows(tiny_cohort, "training", other)


def test_a_foreign_model_may_have_been_trained_on_them(tiny_cohort, caplog):
    foreign = metadata(None, [])
    with caplog.at_level(logging.WARNING):
        for own, said in (
            (foreign, "(a foreign model)"),
            (metadata("abc", ["0"], foreign.lineage), "starting from a foreign"),
        ):
            assert folds_of(real_rows(tiny_cohort, "test", own)) == ["test"]
            assert said in caplog.text
        caplog.clear()
        real_rows(tiny_cohort, "test", metadata(tiny_cohort.digest, ["0"], foreign.lineage))
    assert "that model may have been trained on these images" in caplog.text


def test_no_row_at_all(tiny_cohort):
    part = tiny_cohort.select(np.flatnonzero(tiny_cohort.rows["fold"] == "0"))
    with pytest.raises(UserError, match="no real image among --rows test"):
        real_rows(part, "test", metadata("abc", []))


def test_a_generator_of_one_view_is_compared_with_that_view(tiny_cohort):
    views = ["focused", "panoramic"] * len(tiny_cohort)
    mixed = type(tiny_cohort).from_rows(
        tiny_cohort.root, tiny_cohort.rows.assign(view=views[: len(tiny_cohort)])
    )
    of_one = metadata(mixed.digest, ["0", "1"], view="focused")
    assert set(real_rows(mixed, "training", of_one).rows["view"]) == {"focused"}
    of_none = metadata(mixed.digest, ["0", "1"], view="face")
    with pytest.raises(UserError, match="no real face image among --rows all"):
        real_rows(mixed, "all", of_none)
