"""What is fitted to single models holds for the ensemble: simulated models that share a part of their noise.

Each image is unseen by one model; the models that were trained on it give its condition more probability and
differ less, as on HAM10000. New images are unseen by all.
"""

from typing import NamedTuple

import numpy as np
import pytest

from morphoscope.classify.certainty import OutOfFold
from morphoscope.classify.certainty.calibration import Calibration
from morphoscope.classify.certainty.conformal import coverage
from morphoscope.classify.certainty.correlation import logit_correlation, mean_level
from morphoscope.classify.certainty.novelty import Subspace
from morphoscope.classify.certainty.scaling import fit_scaling, negative_log_likelihood
from morphoscope.classify.prediction import combine, pool

CLASSES = 5
LEARNT, SHRUNK = 2.5, 0.9  # what training on an image adds to its condition's logit; of the models' own noise


class World(NamedTuple):
    """Simulated models: their overconfidence, and the standard deviations of shared and own noise."""

    folds: int = 5
    over: float = 1.5
    shared: float = 0.6
    own: float = 1.0

    def images(self, random: np.random.Generator, number: int, seen: bool) -> tuple[np.ndarray, ...]:
        """(probabilities [F, N, K], truth, fold)."""
        truth, fold = random.integers(0, CLASSES, number), np.arange(number) % self.folds
        evidence = 1.6 * (1.6 * np.eye(CLASSES)[truth] + random.normal(size=(number, CLASSES)))
        shared = self.shared * random.normal(size=(number, CLASSES))
        own = self.own * random.normal(size=(self.folds, number, CLASSES))
        logits = self.over * (evidence + shared + own)
        if seen:
            trained = (np.arange(self.folds)[:, None] != fold)[:, :, None]
            learnt = self.over * (evidence + shared + SHRUNK * own) + LEARNT * np.eye(CLASSES)[truth]
            logits = np.where(trained, learnt, logits)
        raised = np.exp(logits - logits.max(axis=2, keepdims=True))
        return (raised / raised.sum(axis=2, keepdims=True)).astype(np.float32), truth, fold


def calibrated(world: World, random: np.random.Generator, number: int) -> Calibration:
    probabilities, truth, fold = world.images(random, number, seen=True)
    spaces = [Subspace(np.zeros(3, np.float32), np.eye(1, 3, dtype=np.float32))] * world.folds
    distances = np.zeros(number, np.float32)
    return Calibration.fit(OutOfFold(probabilities, truth, fold, distances), spaces, np.zeros(CLASSES))


@pytest.mark.parametrize("world", [World(), World(3), World(shared=1.2, own=0.5), World(over=1.0)])
def test_the_ensemble_is_as_confident_as_it_is_accurate(world: World) -> None:
    """Single models' temperature, then the published mean: under-confident and less likely."""
    random = np.random.default_rng(0)
    calibration = calibrated(world, random, 3000)
    new, truth, _ = world.images(random, 20_000, seen=False)
    combined, _ = pool(calibration.scaling.apply(new))
    before, _ = combine(calibration.single.apply(new))
    gap, gap_before = (p.max(axis=1).mean() - (p.argmax(axis=1) == truth).mean() for p in (combined, before))
    assert -0.05 < gap < 0.02 and abs(gap) < max(0.02, 0.7 * abs(gap_before))
    assert negative_log_likelihood(combined, truth) < negative_log_likelihood(before, truth)
    best = fit_scaling(pool(new)[0], truth, np.zeros(CLASSES))
    assert calibration.scaling.temperature == pytest.approx(best.temperature, rel=0.12)
    assert calibration.scaling.temperature > 0.97 * best.temperature  # errs on the careful side
    # The temperature changes no answer, and the small biases few.
    answers = pool(new)[0].argmax(axis=1)
    unbiased, _ = pool(calibration.scaling._replace(bias=np.zeros(CLASSES)).apply(new))
    assert (unbiased.argmax(axis=1) == answers).all()
    assert (combined.argmax(axis=1) != answers).mean() < 0.03


def test_seen_images_tell_how_alike_models_are_on_unseen_ones() -> None:
    random = np.random.default_rng(1)
    for world in (World(), World(own=0.4), World(shared=0.0, own=1.5)):
        seen, _, fold = world.images(random, 6000, seen=True)
        new, _, _ = world.images(random, 6000, seen=False)
        logits = np.log(new)
        logits -= logits.mean(axis=2, keepdims=True)
        truth = np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1]
        assert truth - 0.02 < logit_correlation(seen, fold) < truth + 0.1
    assert logit_correlation(seen[:2], fold % 2) == 1  # no two models have seen the same image


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_level_gives_the_mean_p_value_its_rate(correlation: float) -> None:
    """Drawn by conditional distributions of Clayton's copula."""
    random, level = np.random.default_rng(2), mean_level(0.05, correlation, 2)
    tau = 2 / np.pi * np.arcsin(correlation)
    theta = max(2 * tau / (1 - tau), 1e-9)
    first, chance = random.uniform(size=(2, 200_000))
    second = (first**-theta * (chance ** (-theta / (1 + theta)) - 1) + 1) ** (-1 / theta)
    assert ((first + second) / 2 <= level).mean() == pytest.approx(0.05, abs=0.003)
    assert level >= 0.05 == mean_level(0.05, 1.0, 4) == mean_level(0.05, correlation, 1)


@pytest.mark.parametrize("world", [World(), World(3), World(shared=1.2, own=0.5)])
def test_sets_of_the_ensemble_cover_what_they_state_and_are_smaller(world: World) -> None:
    """Than without regard to how alike the models are; on photographs less is left over."""
    found, before, sizes = [], [], []
    for seed in range(12):
        random = np.random.default_rng(seed)
        calibration = calibrated(world, random, 600)
        new, truth, _ = world.images(random, 1500, seen=False)
        alike = calibration.conformal
        as_one = type(alike)(alike.scores, alike.truth, alike.fold, alike.coverage, alike.models)
        names = list("abcde")
        now, then = (coverage(sets.sets(new), truth, names, np.arange(1500)) for sets in (alike, as_one))
        found.append(now.overall.coverage.value)
        before.append(then.overall.coverage.value)
        sizes.append((now.overall.mean_size, then.overall.mean_size))
    assert 0.895 < np.mean(found) < np.mean(before)
    now, then = np.mean(sizes, axis=0)
    assert now < then


def test_rare_conditions_have_a_lower_guarantee() -> None:
    calibration = calibrated(World(), np.random.default_rng(5), 600)
    conformal = calibration.conformal
    for condition in range(CLASSES):
        images = (conformal.truth == condition).sum()
        wanted = 1 - 2 * conformal.level - np.sqrt(2 / images)
        assert conformal.guarantee(condition) == pytest.approx(wanted)
    as_one = type(conformal)(conformal.scores, conformal.truth, conformal.fold, 0.9, 5)
    rare = np.zeros(48, np.int64)
    df = type(conformal)(np.zeros(48, np.float32), rare, rare, 0.9, 5)
    assert df.guarantee(0) == pytest.approx(0.596, abs=1e-3) and df.guarantee(1) == 1
    assert as_one.guarantee(0) >= conformal.guarantee(0)
    assert type(conformal)(np.zeros(48, np.float32), rare, rare, 0.9).guarantee(0) == pytest.approx(0.9)
