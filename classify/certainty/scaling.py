"""Calibration of probabilities by condition: one temperature, and a small bias of each condition's logit."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import logsumexp

from morphoscope.classify.certainty.correlation import centred_logits

BOUNDS = (0.05, 20.0)
"""Range of temperatures; a temperature at its end means that probabilities hold hardly any information."""

BIAS_SD = 0.1
"""Standard deviation of the biases that is assumed before any image is seen: small, so that the biases of a
hundred images stay near 0, where they would add more error than they remove (see docs/lab-notes.md)."""

LARGEST_BIAS = 5.0
_SEARCH_STEPS = 60
_LEAST = 1e-30  # of a probability, so that one rounded to 0 has a logarithm


class Scaling(NamedTuple):
    """Calibrated logits are logits / temperature + bias.

    Attributes:
        temperature: within `BOUNDS`; above 1 lowers the confidence.
        bias: of each condition's logit, float64 [K].
    """

    temperature: float
    bias: np.ndarray

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrated probabilities from those at temperature 1: float32 [..., K] -> the same shape."""
        return _softmax(centred_logits(probabilities) / self.temperature + self.bias)

    def of_ensemble(self, models: int, correlation: float) -> "Scaling":
        """The scaling of the mean logits of `models` models, if this one is that of each.

        The mean of F models has a smaller variance than one model, by (1 - 1/F)(1 - correlation), but the
        same covariance with the truth: the noise that is a model's own averages out. The best temperature is
        in proportion to that variance (regression dilution), so that it falls with F.
        """
        factor = 1 - (1 - 1 / models) * (1 - correlation)
        return Scaling(float(np.clip(self.temperature * factor, *BOUNDS)), self.bias)


def fit_scaling(probabilities: np.ndarray, truth: np.ndarray, shift: np.ndarray) -> Scaling:
    """The scaling with the lowest penalised negative log-likelihood on images of known conditions.

    Temperature as of Guo et al. (2017), bias with a normal prior of standard deviation `BIAS_SD`. The
    likelihood is that under the frequencies of these images, while the result is for the probabilities'
    own prior: otherwise the biases would learn the difference of the two.

    The mean confidence is limited to (correct + 1) / (N + 2), Laplace's rule of succession, the most that N
    images can show: where all predictions are correct, the likelihood alone would ask for a confidence of 1.

    Args:
        probabilities: softmax outputs, float32 [N, K], each from a model that was not trained on the image.
        truth: true class, int64 [N].
        shift: log ratio of the images' frequencies to the probabilities' prior, float64 [K].
    """
    logits, rows = centred_logits(probabilities), np.arange(len(truth))

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        scale, bias = np.exp(-values[0]), values[1:]
        found = scale * logits + bias + shift
        log_p = found - logsumexp(found, axis=1, keepdims=True)
        excess = np.exp(log_p)
        excess[rows, truth] -= 1
        loss = -log_p[rows, truth].sum() + (bias**2).sum() / (2 * BIAS_SD**2)
        slope = -(excess * scale * logits).sum()
        return float(loss), np.r_[slope, excess.sum(axis=0) + bias / BIAS_SD**2]

    least, most = np.log(BOUNDS)
    bounds = [(least, most)] + [(-LARGEST_BIAS, LARGEST_BIAS)] * logits.shape[1]
    best = minimize(objective, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds).x
    bias = best[1:]

    def excess_confidence(log_temperature: float) -> float:
        found = _softmax(logits / np.exp(log_temperature) + bias + shift)
        correct = int((found.argmax(axis=1) == truth).sum())
        return float(found.max(axis=1).mean()) - (correct + 1) / (len(truth) + 2)

    return Scaling(float(np.exp(_first_root(excess_confidence, best[0], most))), bias)


def _first_root(function: Callable[[float], float], start: float, end: float) -> float:
    """The first zero of a function that is above 0 at `start`; `start` if it is not, or if there is none.

    The mean confidence need not fall all the way: towards high temperatures it nears the largest frequency.
    """
    before = start
    if function(start) <= 0:
        return start
    for point in np.linspace(start, end, _SEARCH_STEPS)[1:]:
        if function(point) <= 0:
            return float(brentq(function, before, point))
        before = point
    return start


def cross_fitted(
    probabilities: np.ndarray, truth: np.ndarray, fold: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """Each fold's probabilities with the scaling fitted to the other folds.

    Metrics of the result are not biased; on the images that a scaling was fitted to, they are too good.

    Args:
        probabilities: float32 [N, K], of each image from its own fold's model.
        truth: true class, int64 [N].
        fold: name or number of each image's fold, [N], at least two different ones.
        shift: as for `fit_scaling`.

    Returns:
        float32 [N, K].
    """
    result = np.empty_like(probabilities)
    for name in np.unique(fold):
        here = fold == name
        result[here] = fit_scaling(probabilities[~here], truth[~here], shift).apply(probabilities[here])
    return result


def pooled(per_fold: np.ndarray) -> np.ndarray:
    """The mean of the models' logits as probabilities (their normalised geometric mean).

    Args:
        per_fold: float32 [F, N, K] in [0, 1].

    Returns:
        float32 [N, K]; each row sums to 1.
    """
    return _softmax(centred_logits(per_fold).mean(axis=0))


def negative_log_likelihood(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean -log p of the true class, in nats: probabilities float32 [N, K], truth int64 [N]."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _LEAST)).mean())


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (raised / raised.sum(axis=-1, keepdims=True)).astype(np.float32)
