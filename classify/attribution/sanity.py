"""Does a map depend on what was learnt? Random weights must destroy it (Adebayo et al. 2018)."""

import cv2
import numpy as np
import torch

from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.model import ConditionClassifier

_STRONGEST = 99.0  # percentile of a map that counts as 1
_WINDOW = 1.5  # deviation of the Gaussian window, pixels
_C1, _C2 = 0.01**2, 0.03**2


def randomised(ensemble: Ensemble, seed: int = 0) -> Ensemble:
    """The same networks as before any training: all weights drawn anew, as timm initialises them."""
    models = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in ensemble.folds:
            models[name] = ConditionClassifier(
                ensemble.config, len(ensemble.conditions), len(ensemble.auxiliary)
            )
    return Ensemble(ensemble.config, ensemble.conditions, models, ensemble.metadata, ensemble.device)


def structural_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM (Wang et al. 2004, eq. 13) of two maps' absolute values, each clipped at its 99th percentile as 1.

    The window is Gaussian, 1.5 pixels, as in the paper. 1 for equal maps, around 0 for unrelated ones.
    """
    x, y = _unit(a), _unit(b)
    mean_x, mean_y = _smooth(x), _smooth(y)
    variance_x, variance_y = _smooth(x * x) - mean_x**2, _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return float((luminance * structure).mean())


def _unit(attribution: np.ndarray) -> np.ndarray:
    strength = np.abs(attribution).astype(np.float64)
    strongest = float(np.percentile(strength, _STRONGEST)) or 1.0
    return np.clip(strength / strongest, 0, 1)


def _smooth(values: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), _WINDOW)
