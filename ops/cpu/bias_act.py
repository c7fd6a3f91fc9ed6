"""bias_act on a CPU."""

import torch

from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import (
    ACTIVATION_CODES,
    SCALAR_TYPES,
    BiasActParams,
    accumulation_dtype,
    address,
)


def bias_act_cpu(
    x: torch.Tensor, b: torch.Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float
) -> torch.Tensor:
    return _run(None, x, b, dim, act, alpha, gain, clamp, 0, False)


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
    return _run(u, x, b, dim, act, alpha, gain, clamp, order, from_output)


def _run(
    u: torch.Tensor | None,
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
    y = torch.empty_like(x)
    x = _in_order_of(y, x)
    u = None if u is None else _in_order_of(y, u)
    b = None if b is None else b.to(accumulation_dtype(x.dtype)).contiguous()
    params = BiasActParams(
        x=address(x),
        b=address(b),
        u=address(u),
        y=address(y),
        size=y.numel(),
        bias_size=1 if b is None else len(b),
        bias_step=1 if b is None else y.stride(dim),
        dtype=SCALAR_TYPES[x.dtype],
        activation=ACTIVATION_CODES[act],
        order=order,
        from_output=from_output,
        alpha=alpha,
        gain=gain,
        clamp=clamp,
    )
    cpu_library().call("bias_act", params)
    return y


def _in_order_of(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """x itself if it lies in memory as y does, else a copy that does."""
    return x if x.stride() == y.stride() else torch.empty_like(y).copy_(x)
