"""Novelty of features: those outside the training images' subspaces are detected."""

import numpy as np
import pytest

from morphoscope.classify.certainty.novelty import Novelty, NoveltyScores, Subspace, cross_fitted, detection


def features(images: int, seed: int) -> np.ndarray:
    """[N, 60], in 5 of 60 dimensions apart from a little noise, around a common mean."""
    random = np.random.default_rng(seed)
    basis = np.random.default_rng(99).normal(size=(5, 60))
    return 3 + random.normal(size=(images, 5)) @ basis + 0.1 * random.normal(size=(images, 60))


def fitted(folds: int = 3) -> Novelty:
    subspaces = [Subspace.fit(features(100, seed)) for seed in range(folds)]
    own = features(300, 50)
    distances = np.array([subspaces[i % folds].distance(own[i : i + 1])[0] for i in range(300)])
    return Novelty(subspaces, distances, 0.95)


def scores(novelty: Novelty, new: np.ndarray) -> NoveltyScores:
    return novelty.detect(np.stack([subspace.distance(new) for subspace in novelty.subspaces]))


def test_distance_is_what_the_subspace_leaves_over() -> None:
    subspace = Subspace(np.array([1.0, 0, 0], np.float32), np.array([[0, 1.0, 0]], np.float32))
    assert subspace.distance(np.array([[5.0, 0, 0], [0, 0, 2.0]])).tolist() == pytest.approx([0, 2**0.5])
    assert subspace.distance(np.array([[0.0, 3.0, 0]])).tolist() == pytest.approx([1])
    assert np.isfinite(subspace.distance(np.zeros((1, 3)))).all()


def test_like_images_are_accepted_and_others_are_not() -> None:
    novelty = fitted()
    alike = scores(novelty, features(500, 60))
    assert 0.01 < alike.novel.mean() < 0.1  # 5% are meant to be
    other = scores(novelty, np.random.default_rng(1).normal(size=(50, 60)))
    assert other.novel.all()
    found = detection(alike.novelty, np.arange(500), other, np.arange(50))
    assert found.images == 50 and found.auroc.value == 1 and found.auroc.low < 1
    assert found.detected.value == 1 and found.missed_at_95.value == 0


def test_short_features_are_not_mistaken_for_familiar_ones() -> None:
    short = 0.01 * np.abs(np.random.default_rng(2).normal(size=(20, 60)))
    assert scores(fitted(), short).novel.all()


def test_too_few_images_call_nothing_novel() -> None:
    for images, called in ((18, False), (19, True)):
        novelty = Novelty(fitted(1).subspaces, np.full(images, 0.1), 0.95)
        assert novelty.detect(np.array([[0.9]])).novel.tolist() == [called]


def test_cross_fitted_alarms_are_as_rare_as_stated() -> None:
    novelty = fitted()
    called = cross_fitted(novelty.distances, np.arange(300) % 3, 0.95)
    assert called.mean() == pytest.approx(0.05, abs=0.03)


def test_a_subspace_of_few_images_leaves_room() -> None:
    assert Subspace.fit(features(8, 0)).basis.shape == (2, 60)
    assert Subspace.fit(features(500, 0)).basis.shape == (15, 60)
