"""Random weights destroy a map that depends on what the model has learnt."""

import numpy as np
import pytest
import torch

from morphoscope.apps.bundled_models import ENSEMBLE
from morphoscope.classify import Ensemble
from morphoscope.classify.attribution.maps import rank_correlation
from morphoscope.classify.attribution_comparison.sanity import (
    cascade,
    randomised,
    stages,
    structural_similarity,
)
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.cohort import phantom_image
from morphoscope.configs.classifier import EnsembleTraining


def test_structural_similarity_of_known_maps() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 64, 64))
    assert structural_similarity(one, one) == pytest.approx(1)
    assert structural_similarity(one, -3 * one) == pytest.approx(1)  # only magnitudes count, on any scale
    assert abs(structural_similarity(one, other)) < 0.1
    # Constant maps differ only in luminance, which the scaling removes.
    assert structural_similarity(np.full((16, 16), 2.0), np.full((16, 16), 5.0)) == pytest.approx(1)
    assert structural_similarity(np.ones((16, 16)), np.zeros((16, 16))) == pytest.approx(1e-4, rel=0.01)


def test_all_weights_are_reinitialised_by_seed(ensemble: Ensemble) -> None:
    first, again, second = (randomised(ensemble, seed) for seed in (7, 7, 8))
    assert first.folds == ensemble.folds and first.conditions == ensemble.conditions
    for old, new, same, other in zip(ensemble.models, first.models, again.models, second.models, strict=True):
        weights = [dict(model.named_parameters())["backbone.conv_stem.weight"] for model in (old, new, other)]
        assert not np.allclose(weights[0], weights[1]) and not np.allclose(weights[1], weights[2])
        assert np.allclose(weights[1], dict(same.named_parameters())["backbone.conv_stem.weight"])


BACKBONES = ["test_efficientnet", "test_convnext2", "test_vit", "test_resnet"]


@pytest.mark.parametrize("backbone", [*BACKBONES, "pit_ti_224"])  # timm defines no stages for the last
def test_a_cascade_reinitialises_every_layer_once_from_the_head_to_the_input(
    config: EnsembleTraining, backbone: str
) -> None:
    config = config.model_copy(update={"backbone": backbone})
    torch.manual_seed(5)
    models = {"0": ConditionClassifier(config, 3)}
    for value in models["0"].state_dict().values():
        value += 1  # as if trained, including the batch statistics
    metadata = EnsembleMetadata(config=config, conditions=["blue", "green", "red"], folds=["0"])
    trained = Ensemble(metadata, models)
    before = {key: value.clone() for key, value in trained.models[0].backbone.state_dict().items()}
    after = randomised(trained, seed=7).models[0].backbone.state_dict()
    planned = stages(trained.models[0].backbone)
    keys = [key for stage in planned for key in stage.keys]
    assert sorted(keys) == sorted(before) and len(planned) <= 6
    assert all("head" in key or "classifier" in key or key.startswith("fc.") for key in planned[0].keys)
    assert planned[-1].keys[0] == next(iter(before))
    done: set[str] = set()
    for (layers, changed), stage in zip(cascade(trained, seed=7), planned, strict=True):
        done |= set(stage.keys)
        assert layers == stage.layers
        for key, value in changed.models[0].backbone.state_dict().items():
            assert torch.equal(value, after[key] if key in done else before[key]), key
    for key, value in trained.models[0].backbone.state_dict().items():
        assert torch.equal(value, before[key])  # the trained models stay as they are


def test_a_cascade_destroys_the_map_of_a_trained_model() -> None:
    trained = Ensemble.load(ENSEMBLE).fold("0")
    image = phantom_image("NF1", 3, size=128, seed=7).image
    own = trained.attribute(image, "NF1", steps=8).map
    found = [
        structural_similarity(own, changed.attribute(image, "NF1", steps=8).map)
        for _, changed in cascade(trained)
    ]
    assert found[0] < 0.9
    assert found[-1] < 0.3
    whole = randomised(trained).attribute(image, "NF1", steps=8).map
    assert found[-1] == pytest.approx(structural_similarity(own, whole), abs=1e-6)


def test_integrated_gradients_of_the_bundled_ensemble_do_not_survive_random_weights() -> None:
    """Adebayo et al. 2018: maps of different folds agree; those of random weights are unrelated."""
    whole = Ensemble.load(ENSEMBLE)
    trained, other = whole.fold("0"), whole.fold("1")
    image = phantom_image("NF1", 3, size=128, seed=7).image
    own, fold, destroyed = (
        model.attribute(image, "NF1", steps=8).map for model in (trained, other, randomised(trained))
    )
    assert rank_correlation(own, fold) > 0.5
    assert abs(rank_correlation(own, destroyed)) < 0.1
    # Not quite unrelated: where image and baseline are equal, no weights can give any attribution.
    assert rank_correlation(np.abs(own), np.abs(destroyed)) < 0.6
    assert structural_similarity(own, destroyed) < structural_similarity(own, fold) - 0.2
