"""The bundled ensemble on images that are not phantoms, and on phantoms that it has not seen."""

import numpy as np
import pytest

from morphoscope.apps.bundled_models import ENSEMBLE
from morphoscope.classify import Ensemble, Prediction
from morphoscope.classify.certainty.novelty import NoveltyScores, detection
from morphoscope.cohort import PHANTOM_CONDITIONS, phantom_image

SIDE, COUNT = 128, 12


def uniform_noise(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, (SIDE, SIDE, 3))


def gaussian_noise(random: np.random.Generator) -> np.ndarray:
    return random.normal(128, 40, (SIDE, SIDE, 3)).clip(0, 255)


def plain_colour(random: np.random.Generator) -> np.ndarray:
    return np.broadcast_to(random.integers(0, 256, 3), (SIDE, SIDE, 3))


def plain_skin(random: np.random.Generator) -> np.ndarray:
    return np.broadcast_to(random.uniform(0.3, 1.2) * np.array([194, 150, 130]), (SIDE, SIDE, 3))


def gradient(random: np.random.Generator) -> np.ndarray:
    """From one colour to another, in any direction."""
    angle = random.uniform(0, 2 * np.pi)
    across = np.tensordot([np.cos(angle), np.sin(angle)], np.mgrid[:SIDE, :SIDE], axes=1)
    share = ((across - across.min()) / np.ptp(across))[..., None]
    first, last = random.integers(0, 256, (2, 3))
    return first + share * (last - first)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load(ENSEMBLE)


@pytest.fixture(scope="module")
def unseen(ensemble: Ensemble) -> Prediction:
    """For phantoms of another seed, three patients per condition."""
    images = [
        phantom_image(name, 2 * patient, size=SIDE, seed=7).image
        for name in PHANTOM_CONDITIONS
        for patient in range(3)
    ]
    return ensemble.predict(np.stack(images))


def test_unseen_phantoms_are_mostly_accepted(unseen: Prediction) -> None:
    """5% should be called novel, at most 10% are guaranteed: at most 4 of 21 with a probability of 95%."""
    assert unseen.novel is not None and unseen.novel.sum() <= 4


@pytest.mark.parametrize("draw", [uniform_noise, gaussian_noise, plain_colour, plain_skin, gradient])
def test_images_that_are_not_photographs_are_called_novel(
    ensemble: Ensemble, unseen: Prediction, draw
) -> None:
    random = np.random.default_rng(0)
    images = np.stack([np.asarray(draw(random)).round().clip(0, 255) for _ in range(COUNT)]).astype(np.uint8)
    found = ensemble.predict(images)
    assert found.novel is not None and found.novelty is not None and unseen.novelty is not None
    assert found.novel.all()
    scores = NoveltyScores(found.novelty, found.novel)
    separated = detection(unseen.novelty, np.arange(len(unseen.novelty)), scores, np.arange(COUNT))
    assert separated.auroc.value > 0.99  # and far off, not only just beyond the threshold
