"""How far an ensemble's models agree."""

import numpy as np


def mutual_information(per_fold: np.ndarray) -> np.ndarray:
    """Entropy of the folds' mean minus their mean entropy, in nats: [F, N, K] -> float [N] in [0, ln F].

    The part of the uncertainty that comes from not knowing the right model, so that more training images
    would lessen it (Houlsby et al. 2011; Depeweg et al. 2018); 0 where all folds say the same.
    """
    return np.maximum(_entropy(per_fold.mean(axis=0)) - _entropy(per_fold).mean(axis=0), 0)


def agreement(per_fold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Share of the F folds whose most probable condition is `predicted` [N]: [F, N, K] -> float [N]."""
    return (per_fold.argmax(axis=2) == predicted).mean(axis=0)


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    exact = probabilities.astype(np.float64)
    return -(exact * np.log(np.maximum(exact, 1e-300))).sum(axis=-1)
