"""Preparation of a training: the rows that it may see."""

import pytest

from morphoscope.configs import UserError
from morphoscope.generate.training.preparation import training_part


def test_test_fold_and_excluded_folds_are_left_out(tiny_cohort):
    part = training_part(tiny_cohort, ["1"])
    assert set(part.rows["fold"]) == {"0", "2"}
    assert part.conditions == tiny_cohort.conditions


def test_unknown_fold_is_refused(tiny_cohort):
    with pytest.raises(UserError, match="no fold 7"):
        training_part(tiny_cohort, ["7"])


def test_rows_without_folds_are_refused(tiny_cohort):
    rows = tiny_cohort.rows.assign(fold="")
    with pytest.raises(UserError, match="cohort split"):
        training_part(type(tiny_cohort).from_rows(tiny_cohort.root, rows), [])


def test_condition_without_training_images_is_named(tiny_cohort):
    with pytest.raises(UserError, match="no training image of dark, pale"):
        training_part(tiny_cohort, ["0", "1", "2"])


def test_images_of_another_view_are_left_out(tiny_cohort):
    views = ["focused", "panoramic"] * len(tiny_cohort)
    mixed = type(tiny_cohort).from_rows(
        tiny_cohort.root, tiny_cohort.rows.assign(view=views[: len(tiny_cohort)])
    )
    part = training_part(mixed, [], view="panoramic")
    assert set(part.rows["view"]) == {"panoramic"}
    with pytest.raises(UserError, match="no face training image of"):
        training_part(mixed, [], view="face")
