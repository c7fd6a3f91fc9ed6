"""bias_act on a CUDA device."""

import torch

from morphoscope.ops.cuda.launching import launch, vector_size
from morphoscope.ops.native.arguments import with_bias_act


def bias_act_cuda(
    x: torch.Tensor, b: torch.Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float
) -> torch.Tensor:
    return with_bias_act(
        lambda params: launch("bias_act_0", x, _threads(x), params),
        None, x, b, dim, act, alpha, gain, clamp, 0, False,
    )  # fmt: skip


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
    return with_bias_act(
        lambda params: launch(f"bias_act_{order}", x, _threads(x), params),
        u, x, b, dim, act, alpha, gain, clamp, order, from_output,
    )  # fmt: skip


def _threads(x: torch.Tensor) -> int:
    return -(-x.numel() // vector_size(x))
