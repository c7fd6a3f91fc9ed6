"""Predictions: how models are combined, the prior, how many agree, which auxiliary class comes first."""

import numpy as np
import pytest

from morphoscope.classify import Prediction, combine
from morphoscope.classify.certainty.prior import Prior
from morphoscope.classify.prediction import pool
from morphoscope.configs import UserError

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


def test_pool_is_the_mean_of_the_logits() -> None:
    per_fold = np.array([[[0.8, 0.2], [0.5, 0.5]], [[0.2, 0.8], [0.6, 0.4]]], np.float32)
    combined, unsure = pool(per_fold)
    odds = 1.5**0.5  # of 1 and 1.5
    np.testing.assert_allclose(combined, [[0.5, 0.5], [odds / (1 + odds), 1 / (1 + odds)]], atol=1e-6)
    assert unsure.tolist() == [True, False]
    assert pool(np.zeros((2, 0, 3), np.float32))[0].shape == (0, 3)


def test_another_prior_follows_from_bayes_rule() -> None:
    per_fold = np.array([[[0.5, 0.5], [0.9, 0.1]], [[0.6, 0.4], [0.8, 0.2]]], np.float32)
    balanced = Prediction(
        ["rare", "common"],
        per_fold,
        *pool(per_fold),
        prediction_sets=np.array([[True, False], [True, False]]),
        prior=Prior.uniform(2),
    )
    prior = Prior.of(np.array([1, 9]), "one in ten")
    found = balanced.with_prior(prior)
    by_hand = per_fold * [0.1, 0.9]
    np.testing.assert_allclose(found.per_fold, by_hand / by_hand.sum(axis=2, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(found.combined, pool(found.per_fold)[0], atol=1e-6)
    assert balanced.predicted.tolist() == [0, 0] and found.predicted.tolist() == [1, 1]
    assert found.prediction_sets is not None and found.prediction_sets.all()  # with the new answer
    assert found.prior == prior and balanced.prior == Prior.uniform(2)
    back = found.with_prior(Prior.uniform(2))
    np.testing.assert_allclose(back.combined, balanced.combined, atol=1e-6)


def test_an_unknown_prior_cannot_be_exchanged() -> None:
    prediction = Prediction(["a", "b", "c"], PER_FOLD, *pool(PER_FOLD))
    with pytest.raises(UserError, match="not known which frequencies"):
        prediction.with_prior(Prior.uniform(3))


def test_votes_count_the_models_that_agree_with_the_combination() -> None:
    prediction = Prediction(["a", "b", "c"], PER_FOLD, *combine(PER_FOLD))
    assert prediction.models == 3
    assert prediction.predicted.tolist() == [0, 2, 2]
    assert prediction.votes.tolist() == [2, 1, 1]  # of equal probabilities the first condition has the vote
    assert prediction.agreement.tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3])


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


def test_the_published_rule_takes_the_largest_of_all_classes() -> None:
    """The first model is sure of the auxiliary class, the second of nothing: the first alone counts."""
    joint = np.array([[[0.2, 0.2, 0.6]], [[0.49, 0.2, 0.31]]], np.float32)
    per_fold = joint[:, :, :2] / joint[:, :, :2].sum(axis=2, keepdims=True)
    found = Prediction(["a", "b"], per_fold, *pool(per_fold), auxiliary=["nevus"], joint=joint)
    assert found.predicted.tolist() == [0] and found.published is not None
    answers, unsure = found.published
    assert answers.tolist() == [2] and unsure.tolist() == [False]
    # Divided by the target conditions first, the second model becomes sure, of the condition a.
    assert combine(per_fold)[0].argmax(axis=1).tolist() == [0]
    assert Prediction(["a", "b"], per_fold, *pool(per_fold)).published is None


def test_the_table_has_a_row_per_image() -> None:
    plain = Prediction(["a", "b", "c"], PER_FOLD, *combine(PER_FOLD))
    table = plain.to_frame()
    assert list(table.columns) == ["predicted", "unsure", "p_a", "p_b", "p_c", "prior"]
    assert set(table["prior"]) == {"unknown"}
    assert list(table["predicted"]) == ["a", "c", "c"] and table["unsure"].tolist() == [False, True, False]
    np.testing.assert_array_equal(table[["p_a", "p_b", "p_c"]].to_numpy(), plain.combined)
    assert list(plain.to_frame(["x", "y", "z"])["file"]) == ["x", "y", "z"]
    for wrong in (["x"], "xyz", [1, 2, 3]):
        with pytest.raises(UserError, match="names takes"):
            plain.to_frame(wrong)  # type: ignore[arg-type]


def test_the_table_of_a_calibrated_ensemble_with_auxiliary_classes() -> None:
    joint = np.concatenate([0.75 * PER_FOLD, np.full((3, 3, 1), 0.25)], axis=2).astype(np.float32)
    whole = Prediction(
        ["a", "b", "c"],
        PER_FOLD,
        *combine(PER_FOLD),
        coverage=0.9,
        prediction_sets=np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1]], bool),
        novelty=np.array([0.1, 0.2, 0.3], np.float32),
        novel=np.array([False, False, True]),
        auxiliary=["nevus"],
        joint=joint,
    )
    table = whole.to_frame()
    assert list(table["prediction_set"]) == ["a; b", "c", "c; a"]
    assert list(table["another_kind_of_image"]) == [False, False, True]
    np.testing.assert_allclose(table["joint_nevus"], 0.25)
    np.testing.assert_allclose(table["joint_a"], 0.75 * PER_FOLD[:, :, 0].mean(axis=0), atol=1e-6)
    assert whole.to_frame(["x", "y", "z"]).shape == (3, 1 + 2 + 3 + 4 + 3 + 1)


def test_another_order_of_the_conditions_moves_everything_with_its_name() -> None:
    joint = np.array([[[0.1, 0.2, 0.3, 0.25, 0.15]]], np.float32)
    whole = Prediction(
        ["a", "b", "c"],
        PER_FOLD,
        PER_FOLD.mean(axis=0),
        np.zeros(3, bool),
        prediction_sets=np.array([[True, False, False], [False, True, True], [True, True, True]]),
        auxiliary=["x", "y"],
        joint=joint,
        prior=Prior((0.5, 0.3, 0.2), "these"),
    )
    moved = whole.reordered(["c", "a", "b"])
    assert moved.conditions == ["c", "a", "b"] and moved.prior == Prior((0.2, 0.5, 0.3), "these")
    np.testing.assert_array_equal(moved.per_fold, PER_FOLD[:, :, [2, 0, 1]])
    np.testing.assert_allclose(moved.joint, [[[0.3, 0.1, 0.2, 0.25, 0.15]]])
    for image in range(3):
        assert set(moved.possible(image) or []) == set(whole.possible(image) or [])
        assert moved.conditions[moved.predicted[image]] == whole.conditions[whole.predicted[image]]
    back = moved.reordered(["a", "b", "c"])
    np.testing.assert_array_equal(back.combined, whole.combined)
    assert back.prior == whole.prior and back.auxiliary == whole.auxiliary
