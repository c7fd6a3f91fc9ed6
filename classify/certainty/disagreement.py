"""How far an ensemble's models disagree."""

import numpy as np


def mutual_information(per_fold: np.ndarray) -> np.ndarray:
    """Mutual information between the prediction and the choice of the model, in nats.

    The entropy of the models' mean probabilities minus the mean entropy of each. It is the part of the
    uncertainty that more training images would reduce (Houlsby et al. 2011; Depeweg et al. 2018).

    Args:
        per_fold: probabilities of F models, float32 [F, N, K]; each row of K sums to 1.

    Returns:
        float64 [N] in [0, ln F]; 0 where all models give the same probabilities.
    """
    return np.maximum(_entropy(per_fold.mean(axis=0)) - _entropy(per_fold).mean(axis=0), 0)


def votes(per_fold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Number of the F models whose most probable condition is the predicted one, int64 [N], 0 to F.

    Args:
        per_fold: probabilities, float32 [F, N, K].
        predicted: class numbers, int [N].
    """
    return (per_fold.argmax(axis=2) == predicted).sum(axis=0)


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats: [..., K] -> float64 [...]."""
    exact = probabilities.astype(np.float64)
    return -(exact * np.log(np.maximum(exact, 1e-300))).sum(axis=-1)
