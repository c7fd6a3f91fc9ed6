"""Temperature scaling."""

import numpy as np
from scipy.optimize import brentq, minimize_scalar

BOUNDS = (0.05, 20.0)
"""Range of temperatures; a temperature at its end means that probabilities hold hardly any information."""

_LEAST = 1e-30  # of a probability, so that one rounded to 0 has a logarithm


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature), computed from softmax(logits).

    Logits are log-probabilities up to a constant, which the softmax removes.

    Args:
        probabilities: float32 [..., K] in [0, 1].
        temperature: above 0; above 1 lowers the confidence.

    Returns:
        float32 [..., K]; each row sums to 1.
    """
    logits = np.log(np.maximum(probabilities, _LEAST)) / temperature
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (raised / raised.sum(axis=-1, keepdims=True)).astype(np.float32)


def negative_log_likelihood(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean -log p of the true class, in nats: probabilities float32 [N, K], truth int64 [N]."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _LEAST)).mean())


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The temperature with the lowest negative log-likelihood (Guo et al. 2017).

    It changes how confident a model is, never which condition is the most probable. In an ensemble it is
    fitted to single models, each on the images that it was not trained on, so that single models are
    calibrated; the mean of calibrated models tends to be less confident than it could be (Rahaman and Thiery
    2021), which errs on the careful side. On 740 images of HAM10000 (three folds, lite) a temperature of 1.46
    reduced the single models' out-of-fold calibration error from 0.11 to 0.06 and their negative
    log-likelihood from 1.12 to 1.06; for the ensemble on test images the calibration error fell from 0.09 to
    0.06, but the negative log-likelihood rose from 0.88 to 0.92.

    The mean confidence is limited to (correct + 1) / (N + 2), Laplace's rule of succession, the most that N
    images can show: where all predictions are correct, the likelihood alone would ask for a confidence of 1.
    Where many are wrong, the limit makes hardly any difference.

    Args:
        probabilities: softmax outputs, float32 [N, K], each from a model that was not trained on the image.
        truth: true class, int64 [N].

    Returns:
        A temperature within `BOUNDS`.
    """

    def at(log_temperature: float) -> np.ndarray:
        return scaled(probabilities, float(np.exp(log_temperature)))

    least, most = np.log(BOUNDS)
    best = minimize_scalar(
        lambda x: negative_log_likelihood(at(x), truth), bounds=(least, most), method="bounded"
    ).x
    correct = int((probabilities.argmax(axis=1) == truth).sum())
    shown = (correct + 1) / (len(truth) + 2)
    if at(best).max(axis=1).mean() > shown > at(most).max(axis=1).mean():
        best = brentq(lambda x: at(x).max(axis=1).mean() - shown, best, most)
    return float(np.exp(best))


def cross_fitted(probabilities: np.ndarray, truth: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Each fold's probabilities at the temperature fitted to the other folds.

    Metrics of the result are not biased; on the images that a temperature was fitted to, they are too good.

    Args:
        probabilities: float32 [N, K], of each image from its own fold's model.
        truth: true class, int64 [N].
        fold: name or number of each image's fold, [N], at least two different ones.

    Returns:
        float32 [N, K].
    """
    result = np.empty_like(probabilities)
    for name in np.unique(fold):
        here = fold == name
        result[here] = scaled(probabilities[here], fit_temperature(probabilities[~here], truth[~here]))
    return result
