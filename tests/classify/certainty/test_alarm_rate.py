"""How often an ensemble calls images of its own kind another kind, which is stated to be 5%.

Alarms are calibrated on images each of which one model has not seen, and used on images that none has seen.
"""

from itertools import product

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from morphoscope.classify.certainty.novelty import Novelty, Subspace

FOLDS = (2, 3, 4, 5)


def correlated_distances(
    folds: int, images: int, correlation: float, random: np.random.Generator
) -> np.ndarray:
    """Distances of unseen images to each model's subspace, [F, N]."""
    normal = np.sqrt(correlation) * random.normal(size=images)
    normal = normal + np.sqrt(1 - correlation) * random.normal(size=(folds, images))
    return np.exp(0.2 * normal).astype(np.float32)


@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.9])
def test_the_alarm_rate_is_that_which_is_stated(correlation: float, folds: int) -> None:
    random = np.random.default_rng(3)
    known = correlated_distances(folds, 4000, correlation, random)[np.arange(4000) % folds, np.arange(4000)]
    spaces = [Subspace(np.zeros(1, np.float32), np.ones((1, 1), np.float32))] * folds
    new = correlated_distances(folds, 50_000, correlation, random)
    novelty = Novelty(spaces, known, 0.95)
    assert 0.043 < novelty.detect(new).novel.mean() < 0.068
    # A model whose distances are larger raises more of the alarms, and the others fewer.
    scales = np.linspace(1, 1.1, folds)[:, None]
    own = known * scales[np.arange(4000) % folds, 0]
    assert 0.04 < Novelty(spaces, own, 0.95).detect(new * scales).novel.mean() < 0.068


@pytest.mark.parametrize("folds", FOLDS)
def test_one_model_that_finds_an_image_familiar_has_no_veto(folds: int) -> None:
    spaces = [Subspace(np.zeros(1, np.float32), np.ones((1, 1), np.float32))] * folds
    novelty = Novelty(spaces, np.linspace(0.1, 0.2, 500, dtype=np.float32), 0.95)
    far = np.full((folds, 1), 0.9, np.float32)
    far[0] = 0.0
    assert novelty.detect(far).novel.all() == (folds > 2)


def simulated_rates(folds: int, images: int, heavy_tails: bool, seed: int) -> tuple[float, float, float]:
    """(False alarms, alarms for a shifted kind, for noise) of networks that memorise their images."""
    random = np.random.default_rng(seed)
    centres = 0.7 * random.normal(size=(5, 30))

    def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
        truth = random.integers(0, 5, number)
        scale = np.sqrt(3 / random.chisquare(3, number))[:, None] if heavy_tails else 1.0
        return centres[truth] + scale * random.normal(size=(number, 30)), truth

    known, truth = draw(images)
    alike = draw(5000)[0]
    kinds = [alike, alike[:1500] + 2.5 * random.normal(size=30), 2 * random.normal(size=(1500, 30))]
    fold, own = np.arange(images) % folds, np.zeros(images, np.float32)
    spaces, distances = [], []
    for position in range(folds):
        trained = fold != position
        network = MLPClassifier((64, 64), alpha=1e-5, max_iter=200, random_state=10 * seed + position)
        network.fit(known[trained], truth[trained])
        spaces.append(Subspace.fit(features(network, known[trained])))
        own[~trained] = spaces[-1].distance(features(network, known[~trained]))
        distances.append([spaces[-1].distance(features(network, kind)) for kind in kinds])
    novelty = Novelty(spaces, own, 0.95)
    return tuple(novelty.detect(np.stack(kind)).novel.mean() for kind in zip(*distances, strict=True))  # type: ignore[return-value]


def features(network: MLPClassifier, images: np.ndarray) -> np.ndarray:
    """Input of the network's last layer, float32 [N, 64]."""
    for weights, biases in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        images = np.maximum(images @ weights + biases, 0)
    return images.astype(np.float32)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_alarm_rate_of_networks_that_memorise() -> None:
    found = {
        cell: np.mean([simulated_rates(*cell, seed=seed) for seed in range(20)], axis=0)
        for cell in product(FOLDS, (60, 120, 500), (False, True))
    }
    print(*(f"{cell}: {rates.round(3)}" for cell, rates in found.items()), sep="\n")
    for (folds, images, _), (false_alarms, _, _) in found.items():
        assert (0.01 if images == 60 else 0.035) < false_alarms < 0.075, (folds, images)
