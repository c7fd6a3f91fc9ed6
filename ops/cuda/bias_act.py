"""bias_act on a CUDA device."""

from collections.abc import Callable

import torch

from morphoscope.ops.activations import Activation
from morphoscope.ops.cuda.launching import launch, vector_size
from morphoscope.ops.native.arguments import with_bias_act
from morphoscope.ops.native.params import BiasActParams


def bias_act_cuda(
    x: torch.Tensor, b: torch.Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float
) -> torch.Tensor:
    return with_bias_act(_launcher(x, 0), x, b, dim, Activation(act, alpha, gain, clamp))


def bias_act_derivative_cuda(
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
    return with_bias_act(_launcher(x, order), x, b, dim, activation, u, order, from_output)


def _launcher(x: torch.Tensor, order: int) -> Callable[[BiasActParams], None]:
    threads = -(-x.numel() // vector_size(x))
    return lambda params: launch(f"bias_act_{order}", x, threads, params)
