"""The two models in the package."""

import numpy as np
import pytest

from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.apps.morphing import Morph, Workbench
from morphoscope.classify import Ensemble
from morphoscope.cohort import phantom_image
from morphoscope.generate import load


@pytest.fixture(scope="module")
def generator():
    return load(GENERATOR)


@pytest.fixture(scope="module")
def ensemble():
    return Ensemble.load(ENSEMBLE)


def test_both_fit_in_20_megabytes_and_name_phantoms_in_their_metadata(generator, ensemble):
    assert GENERATOR.stat().st_size + ENSEMBLE.stat().st_size <= 20_000_000
    assert generator.phantoms_only
    assert ensemble.metadata.phantom is True
    assert generator.conditions == ensemble.conditions


def test_ensemble_recognises_phantoms_it_has_not_seen(ensemble):
    """Phantoms of another seed than that of the training cohort."""
    truth = [name for name in ensemble.conditions for _ in range(6)]
    images = [phantom_image(name, index % 6, size=128, seed=77).image for index, name in enumerate(truth)]
    predicted = [ensemble.conditions[k] for k in ensemble.predict(images).predicted]
    assert np.mean([p == t for p, t in zip(predicted, truth, strict=True)]) > 0.85


def test_generator_makes_what_the_ensemble_recognises(generator, ensemble):
    accuracy = []
    for k, name in enumerate(generator.conditions):
        accuracy.append((ensemble.predict(generator.sample(name, range(8))).predicted == k).mean())
    assert np.mean(accuracy) > 0.7, dict(zip(generator.conditions, accuracy, strict=True))


def test_morph_changes_the_classifiers_mind(generator, ensemble):
    probabilities = (
        Workbench(generator, ensemble).curve(Morph.between("NF1", "TSC", 4, 0.7)).prediction.combined
    )
    first, last = (ensemble.conditions.index(name) for name in ("NF1", "TSC"))
    assert probabilities[0, first] > probabilities[-1, first]
    assert probabilities[-1, last] > probabilities[0, last]
