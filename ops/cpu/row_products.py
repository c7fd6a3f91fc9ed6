"""The kernel of `ops.row_products` on a CPU."""

import torch

from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import SCALAR_TYPES, RowProductsParams, address


def row_products(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """x [B, M, K] and w [B, O, K] or [O, K], of one dtype -> [B, M, O]."""
    x, w = x.contiguous(), w.contiguous()
    batches, rows, depth = x.shape
    y = x.new_empty([batches, rows, w.shape[-2]])
    params = RowProductsParams(
        x=address(x),
        w=address(w),
        y=address(y),
        dtype=SCALAR_TYPES[x.dtype],
        batches=batches,
        rows=rows,
        columns=w.shape[-2],
        depth=depth,
        w_batch_stride=w.stride(0) if w.ndim == 3 else 0,
    )
    cpu_library().call("row_products", params)
    return y
