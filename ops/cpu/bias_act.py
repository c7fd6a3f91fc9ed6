"""bias_act on a CPU."""

import torch

from morphoscope.ops.activations import Activation
from morphoscope.ops.native.arguments import with_bias_act
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import BiasActParams


def bias_act_cpu(
    x: torch.Tensor, b: torch.Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float
) -> torch.Tensor:
    return with_bias_act(_call, x, b, dim, Activation(act, alpha, gain, clamp))


def bias_act_derivative_cpu(
    u: torch.Tensor,
    x: torch.Tensor,
    b: torch.Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
    order: int,
    from_output: bool,
) -> torch.Tensor:
    activation = Activation(act, alpha, gain, clamp)
    return with_bias_act(_call, x, b, dim, activation, u, order, from_output)


def _call(params: BiasActParams) -> None:
    cpu_library().call("bias_act", params)
