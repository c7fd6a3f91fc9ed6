"""The activation functions with their defaults, and one activation with all of its options."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import torch
import torch.nn.functional as F

from morphoscope.configs.arguments import refuse
from morphoscope.ops.checks import optional_number


class ActivationFunction(NamedTuple):
    """`function(x, alpha)`, its default slope, and its default gain, which keeps the variance near 1."""

    function: Callable[[torch.Tensor, float], torch.Tensor]
    alpha: float
    gain: float


ACTIVATIONS: dict[str, ActivationFunction] = {
    "linear": ActivationFunction(lambda x, alpha: x, 0.0, 1.0),
    "relu": ActivationFunction(lambda x, alpha: F.relu(x), 0.0, sqrt(2)),
    "lrelu": ActivationFunction(lambda x, alpha: F.leaky_relu(x, alpha), 0.2, sqrt(2)),
    "tanh": ActivationFunction(lambda x, alpha: torch.tanh(x), 0.0, 1.0),
    "sigmoid": ActivationFunction(lambda x, alpha: torch.sigmoid(x), 0.0, 1.0),
    "elu": ActivationFunction(lambda x, alpha: F.elu(x), 0.0, 1.0),
    "selu": ActivationFunction(lambda x, alpha: F.selu(x), 0.0, 1.0),
    "softplus": ActivationFunction(lambda x, alpha: F.softplus(x), 0.0, 1.0),
    "swish": ActivationFunction(lambda x, alpha: torch.sigmoid(x) * x, 0.0, sqrt(2)),
}


class Activation(NamedTuple):
    """The map x -> clamp(gain · function(x, alpha)), with every option given.

    Attributes:
        act: a key of `ACTIVATIONS`.
        alpha: slope of lrelu for negative x.
        gain: factor of the result.
        clamp: largest absolute value of the result; negative for no limit.
    """

    act: str
    alpha: float
    gain: float
    clamp: float


LINEAR = Activation("linear", 0.0, 1.0, -1.0)


def parse_activation(act: str, alpha: float | None, gain: float | None, clamp: float | None) -> Activation:
    """Fill in the function's default alpha and gain where they are None, and no limit for a clamp of None.

    Raises:
        UserError: an unknown activation, or an option that is not a finite number.
    """
    default = ACTIVATIONS.get(act) if isinstance(act, str) else None
    if default is None:
        refuse("act", f"one of {', '.join(ACTIVATIONS)}", act)
    return Activation(
        act,
        optional_number("alpha", alpha, default.alpha),
        optional_number("gain", gain, default.gain),
        optional_number("clamp", clamp, -1.0),
    )
