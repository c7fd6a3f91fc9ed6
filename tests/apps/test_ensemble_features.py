"""An ensemble's classifiers as a feature network: a plain function for the generator's metrics."""

import numpy as np
import pytest

from morphoscope.apps.bundled_models import ENSEMBLE
from morphoscope.apps.commands.generate.networks import feature_network
from morphoscope.classify import Ensemble
from morphoscope.configs import UserError
from morphoscope.generate.model import file_digest


def test_features_of_all_folds_side_by_side_named_after_the_file():
    network = feature_network(f"ensemble:{ENSEMBLE}", "cpu")
    digest = file_digest(ENSEMBLE)
    assert (network.name, network.digest) == (f"ensemble_{digest[:8]}", digest)
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3)).astype(np.uint8)
    ensemble = Ensemble.load(ENSEMBLE)
    found = network.features(images)
    assert found.shape == (3, network.dimensions)
    first = ensemble.predict_fold(ensemble.folds[0], images).features
    np.testing.assert_allclose(found[:, : first.shape[1]], first, rtol=1e-4, atol=1e-5)


def test_other_names_are_those_of_the_generator(tmp_path):
    with pytest.raises(UserError, match="neither 'efficientnet_lite0'"):
        feature_network("nothing", "cpu")
    with pytest.raises(UserError, match=r"no\.safetensors"):
        feature_network(f"ensemble:{tmp_path / 'no.safetensors'}", "cpu")
