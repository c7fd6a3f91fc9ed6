"""An ensemble of pairs beside a generator of single images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from studio_models import tiny_generator

from morphoscope.apps.morphing import FRAMES, Morph, Workbench
from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.configs.classifier import EnsembleTraining

CONDITIONS = ["dark", "pale"]
MORPH = Morph.between("dark", "pale", seed=3, psi=0.7)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    folder: Path = tmp_path_factory.mktemp("pairs")
    config = EnsembleTraining(
        backbone="test_efficientnet",
        resolution=32,
        weights="none",
        views="dual",
        epochs=1,
        batch=4,
        learning_rate=1e-3,
    )
    torch.manual_seed(0)
    model = ConditionClassifier(config, len(CONDITIONS))
    metadata = EnsembleMetadata(phantom=True, config=config, conditions=CONDITIONS, folds=["0"])
    return Workbench(tiny_generator(folder, CONDITIONS), Ensemble(metadata, {"0": model}))


def test_frames_of_a_morph_are_halves_of_pairs(bench: Workbench) -> None:
    curve = bench.curve(MORPH)
    assert curve.prediction.combined.shape == (FRAMES, 2)
    one = bench.predict(curve.images[5]).combined
    np.testing.assert_allclose(one, curve.prediction.combined[5:6], atol=1e-5)


def test_second_photograph_changes_the_prediction(bench: Workbench) -> None:
    focused, panoramic = bench.image(MORPH, 0.0), bench.image(MORPH, 1.0)
    assert bench.model_input(focused, panoramic).shape == (32, 64, 3)
    assert not bench.model_input(focused)[:, 32:].any()
    alone, both = bench.predict(focused).combined, bench.predict(focused, panoramic).combined
    assert (alone != both).any()


def test_map_of_a_half_lies_over_its_image_and_that_of_a_pair_over_both(bench: Workbench) -> None:
    focused, panoramic = bench.image(MORPH, 0.0), bench.image(MORPH, 1.0)
    assert bench.attribute(focused, "pale", "gradcam").map.shape == (16, 16)
    assert bench.attribute(focused, "pale", "gradcam", panoramic).map.shape == (32, 64)
