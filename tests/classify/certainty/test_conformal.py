"""Prediction sets: thresholds computed by hand, coverage at the stated rate, also for rare conditions."""

import numpy as np
import pytest

from morphoscope.classify.certainty.conformal import (
    Conformal,
    coverage,
    cross_fitted,
    p_values,
    with_answers,
)


def world(images: int, seed: int, folds: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities [F, N, 3] of F unlike models, truth (one image in twenty of a rare condition), fold."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, images, p=[0.6, 0.35, 0.05])
    evidence = 1.2 * np.eye(3)[truth] + random.normal(0, 0.8, (images, 3))
    logits = 1.5 * (evidence + random.normal(0, 0.5, (folds, images, 3)) + np.array([0.5, 0.3, -0.8]))
    per_fold = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return per_fold.astype(np.float32), truth, random.integers(0, folds, images)


def test_p_values_count_what_is_at_least_as_unusual() -> None:
    calibration = [np.array([0.3, 0.1]), np.array([0.2, 0.4, 0.6])]
    scores = np.array([[0.2, 0.1, 0.9], [0.5, 0.1, 0.9]])
    # one of fold 0 and one of fold 1; all five, ties included; none
    assert p_values(calibration, scores).tolist() == pytest.approx([3 / 6, 6 / 6, 1 / 6])


def test_with_one_fold_the_threshold_is_the_finite_sample_quantile() -> None:
    scores = np.linspace(0.01, 0.95, 50).astype(np.float32)
    conformal = Conformal(scores, np.zeros(50, np.int64), np.zeros(50, np.int64), 0.9)
    threshold = scores[int(np.ceil(51 * 0.9)) - 1]  # the 46th smallest
    for score, inside in ((threshold, True), (threshold + 0.001, False)):
        probabilities = np.array([[[1 - score, score, 0]]], np.float32)
        found = conformal.sets(probabilities)[0]
        assert found[0] == inside
        assert found[1:].all()  # nothing can exclude conditions without calibration images


def test_eight_images_cannot_exclude_a_condition_and_nine_can() -> None:
    for images, possible in ((8, True), (9, False)):
        truth = np.r_[np.zeros(images), np.ones(50)].astype(np.int64)
        conformal = Conformal(np.full(len(truth), 0.1, np.float32), truth, np.zeros_like(truth), 0.9)
        assert conformal.sets(np.array([[[0.01, 0.99]]], np.float32))[0].tolist() == [possible, True]


def test_the_answer_is_in_every_set() -> None:
    truth = np.repeat([0, 1, 2], 50)
    conformal = Conformal(np.zeros(150, np.float32), truth, np.zeros(150, np.int64), 0.9)
    empty = conformal.sets(np.array([[[0.4, 0.35, 0.25]]], np.float32))
    assert not empty.any() and with_answers(empty, np.array([2])).tolist() == [[False, False, True]]
    lenient = np.where(truth == 1, 0.9, 0.0).astype(np.float32)  # of condition 1 only
    sets = Conformal(lenient, truth, np.zeros(150, np.int64), 0.9).sets(
        np.array([[[0.5, 0.3, 0.2]]], np.float32)
    )
    assert with_answers(sets, np.array([0])).tolist() == [[True, True, False]]


@pytest.mark.parametrize("folds", [1, 5])
def test_new_images_are_covered_at_the_stated_rate_in_every_condition(folds: int) -> None:
    per_fold, truth, fold = world(3000, 1, folds)
    own = per_fold[fold, np.arange(3000)]
    conformal = Conformal.fit(own, truth, fold, 0.9)
    new, new_truth, _ = world(6000, 2, folds)
    found = coverage(conformal.sets(new), new_truth, ["a", "b", "rare"], np.arange(6000))
    assert 0.88 < found.overall.coverage.value < 0.96
    for condition in ("a", "b", "rare"):
        assert found.by_condition[condition].coverage.high > 0.88
    assert 1 <= found.overall.mean_size < 2.2


def test_cross_fitted_sets_do_not_know_their_own_truth() -> None:
    per_fold, truth, _ = world(900, 3)
    fold = np.arange(900) % 3
    before = cross_fitted(per_fold[0], truth, fold, 0.9)
    after = cross_fitted(per_fold[0], np.where(fold == 0, (truth + 1) % 3, truth), fold, 0.9)
    np.testing.assert_array_equal(before[fold == 0], after[fold == 0])
    found = coverage(before, truth, ["a", "b", "c"], np.arange(900))
    assert found.overall.coverage.value == pytest.approx(0.9, abs=0.03)


def test_coverage_has_its_known_values() -> None:
    sets = np.array([[True, False], [True, True], [False, True], [False, True]])
    found = coverage(sets, np.array([0, 0, 0, 1]), ["a", "b"], np.arange(4))
    assert found.overall.coverage.value == 0.75 and found.overall.mean_size == 1.25 and found.single == 0.75
    assert found.by_condition["a"].coverage.value == pytest.approx(2 / 3)
    assert found.by_condition["b"].mean_size == 1
    assert found.as_json()["by_condition"]["b"] == found.by_condition["b"].as_json()
