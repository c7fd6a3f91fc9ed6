"""Bias, activation, gain and clamp in one call (spec 1)."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import torch
import torch.nn.functional as F


class Activation(NamedTuple):
    """`function(x, alpha)`, its default slope, and the gain that keeps a signal at unit variance."""

    function: Callable[[torch.Tensor, float], torch.Tensor]
    alpha: float
    gain: float


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x, alpha: x, 0.0, 1.0),
    "relu": Activation(lambda x, alpha: F.relu(x), 0.0, sqrt(2)),
    "lrelu": Activation(lambda x, alpha: F.leaky_relu(x, alpha), 0.2, sqrt(2)),
    "tanh": Activation(lambda x, alpha: torch.tanh(x), 0.0, 1.0),
    "sigmoid": Activation(lambda x, alpha: torch.sigmoid(x), 0.0, 1.0),
    "elu": Activation(lambda x, alpha: F.elu(x), 0.0, 1.0),
    "selu": Activation(lambda x, alpha: F.selu(x), 0.0, 1.0),
    "softplus": Activation(lambda x, alpha: F.softplus(x), 0.0, 1.0),
    "swish": Activation(lambda x, alpha: torch.sigmoid(x) * x, 0.0, sqrt(2)),
}


def bias_act(
    x: torch.Tensor,
    b: torch.Tensor | None = None,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
) -> torch.Tensor:
    """y = clamp(gain · act(x + b)), differentiable any number of times.

    Args:
        x: any shape.
        b: [x.shape[dim]], added along `dim`.
        act: a key of `ACTIVATIONS`.
        alpha: slope of lrelu; the activation's default if None.
        gain: the activation's default if None.
        clamp: results are limited to ±clamp, where no gradient passes; None or a negative value is no limit.

    Raises:
        ValueError: an unknown activation, or a bias that does not fit.
    """
    if act not in ACTIVATIONS:
        raise ValueError(f"Unknown activation '{act}'; choose one of {', '.join(ACTIVATIONS)}.")
    activation = ACTIVATIONS[act]
    alpha = activation.alpha if alpha is None else alpha
    gain = activation.gain if gain is None else gain
    if b is not None:
        if b.shape != (x.shape[dim],):
            raise ValueError(f"The bias has shape {tuple(b.shape)}; axis {dim} of x needs ({x.shape[dim]},).")
        x = x + b.to(x.dtype).reshape([-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)])
    y = activation.function(x, alpha)
    if gain != 1:
        y = y * gain
    if clamp is not None and clamp >= 0:
        y = F.hardtanh(y, -clamp, clamp)  # unlike torch.clamp, passes no gradient at the bound itself
    return y
