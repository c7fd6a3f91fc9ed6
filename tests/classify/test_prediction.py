"""Predictions: how models are combined, how many agree, and which auxiliary class comes first."""

import numpy as np
import pytest

from morphoscope.classify import Prediction, combine

PER_FOLD = np.array(
    [
        [[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.5, 0.5, 0.0]],
        [[0.4, 0.3, 0.3], [0.2, 0.4, 0.4], [0.0, 0.5, 0.5]],
        [[0.2, 0.6, 0.2], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8]],
    ],
    np.float32,
)


def test_combination_is_the_mean_of_the_models_that_are_sure() -> None:
    combined, unsure = combine(PER_FOLD)
    assert unsure.tolist() == [False, True, False]
    np.testing.assert_allclose(combined[0], [0.55, 0.35, 0.1], atol=1e-6)  # models 0 and 2
    np.testing.assert_allclose(combined[1], PER_FOLD[:, 1].mean(axis=0), atol=1e-6)  # all: none exceeds 0.5
    np.testing.assert_allclose(combined[2], [0.1, 0.1, 0.8], atol=1e-6)  # exactly 0.5 is not sure
    assert combined.dtype == np.float32


def test_votes_count_the_models_that_agree_with_the_combination() -> None:
    prediction = Prediction(["a", "b", "c"], PER_FOLD, *combine(PER_FOLD))
    assert prediction.models == 3
    assert prediction.predicted.tolist() == [0, 2, 2]
    assert prediction.votes.tolist() == [2, 1, 1]  # of equal probabilities the first condition has the vote
    assert prediction.agreement.tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert prediction.sure.tolist() == [[True, False, False], [False, False, False], [True, False, True]]


def test_an_auxiliary_class_comes_first_if_the_mean_of_the_models_says_so() -> None:
    joint = np.array([[[0.5, 0.2, 0.3], [0.4, 0.1, 0.5]], [[0.3, 0.2, 0.5], [0.5, 0.1, 0.4]]], np.float32)
    per_fold = joint[:, :, :2] / joint[:, :, :2].sum(axis=2, keepdims=True)
    plain = Prediction(["a", "b"], per_fold, *combine(per_fold))
    assert plain.auxiliary_first == [None, None]
    joint[1, 0] = [0.1, 0.2, 0.7]
    joined = Prediction(["a", "b"], per_fold, *combine(per_fold), auxiliary=["nevus"], joint=joint)
    assert joined.auxiliary_first == ["nevus", None]


def test_part_of_a_prediction_is_the_prediction_for_that_image() -> None:
    whole = Prediction(
        ["a", "b", "c"], PER_FOLD, *combine(PER_FOLD), novel=np.array([True, False, True]), coverage=0.9
    )
    part = whole.of(1)
    np.testing.assert_array_equal(part.per_fold, PER_FOLD[:, 1:2])
    np.testing.assert_array_equal(part.combined, whole.combined[1:2])
    assert (part.unsure.tolist(), part.coverage, part.uncalibrated) == ([True], 0.9, None)
    assert part.novel is not None and part.novel.tolist() == [False]
