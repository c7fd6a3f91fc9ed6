"""Products of rows whose results do not depend on the rows that are computed with them.

BLAS chooses its algorithm, and with it the order in which terms are added, by the number of rows. The native
kernel adds the terms of each result in an order that depends on their number alone. So an image that is
generated in a batch is the same, to the bit, as the image that is generated alone.
"""

from typing import Any

import torch

from morphoscope.ops.cpu.row_products import row_products as cpu
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.library import define, differentiated


def row_products(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """y[…, m, o] = Σₖ x[…, m, k] w[…, o, k], by the native kernel for inference on a CPU.

    Args:
        x: [M, K] or [B, M, K], floating-point.
        w: [O, K], or [B, O, K] for x [B, M, K], in the dtype of x.

    Returns:
        [M, O] or [B, M, O]. Differentiable any number of times.
    """
    if not rows_are_independent(x, w):
        return x @ w.mT
    y: torch.Tensor = _row_products(x if x.ndim == 3 else x[None], w)
    return y if x.ndim == 3 else y[0]


def linear(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, gain: float) -> torch.Tensor:
    """gain · x wᵀ + b, for x [M, K], w [O, K] and b [O]; as `row_products`."""
    if not rows_are_independent(x, w):
        return torch.addmm(b, x, w.mT, alpha=gain)
    return row_products(x, w) * gain + b  # two roundings everywhere: a fused one may depend on the position


def rows_are_independent(x: torch.Tensor, w: torch.Tensor) -> bool:
    """Whether the native kernel computes these products: without gradients, on a CPU."""
    return (
        x.device.type == "cpu"
        and x.dtype == w.dtype
        and x.dtype in (torch.float32, torch.float64)
        and not differentiated(x, w)
        and native_runs("cpu", None)
    )


def _fake(x: torch.Tensor, w: torch.Tensor, *__: Any) -> torch.Tensor:
    return x.new_empty([x.shape[0], x.shape[1], w.shape[-2]])


# x [B, M, K] and w [B, O, K] or [O, K] -> [B, M, O]; for inference: no gradient.
_row_products = define("row_products(Tensor x, Tensor w) -> Tensor", _fake, cpu)
