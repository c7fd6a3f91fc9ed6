"""The networks in whose features generated images are compared, with an ensemble's classifiers among them."""

from pathlib import Path

import numpy as np

from morphoscope.classify import Ensemble
from morphoscope.configs import UserError
from morphoscope.generate.metrics import FeatureNetwork, load_feature_network
from morphoscope.generate.model import file_digest

ENSEMBLE = "ensemble:"  # before the path of its file


def feature_network(source: str, device: str) -> FeatureNetwork:
    """The network that `source` names: "ensemble:FILE", or as `load_feature_network` takes it.

    Raises:
        UserError: as `load_feature_network` and `Ensemble.load`, or the ensemble takes pairs of images.
    """
    if not source.startswith(ENSEMBLE):
        return load_feature_network(source, device)
    path = Path(source.removeprefix(ENSEMBLE)).expanduser()
    ensemble = Ensemble.load(path, device)
    if ensemble.dual:
        raise UserError(f"--network {source}: a dual-view ensemble takes pairs, not single images.")

    def features(images: np.ndarray) -> np.ndarray:
        """What the heads of all models read, side by side."""
        found = [ensemble.predict_fold(fold, images).features for fold in ensemble.folds]
        return np.concatenate(found, axis=1)

    dimensions = sum(model.features for model in ensemble.models)
    digest = file_digest(path)
    return FeatureNetwork(f"ensemble_{digest[:8]}", digest, features, dimensions=dimensions)
