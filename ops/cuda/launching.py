"""What the wrappers of the CUDA kernels share."""

import ctypes
from typing import Any

import torch

from morphoscope.ops.native.cuda_module import cuda_module

THREADS = 256  # a block
VECTOR_BYTES = 16  # one memory access
_MOST_BLOCKS = 1 << 16  # kernels loop over what is left, so a grid of any size is right


def launch(
    kernel: str, x: torch.Tensor, threads_needed: int, params: ctypes.Structure, threads: int = THREADS
) -> None:
    """Run a kernel, in its instance for x's dtype, on x's device and torch's current stream."""
    index: Any = x.device.index
    blocks = min(-(-threads_needed // threads), _MOST_BLOCKS)
    if blocks:
        name = f"{kernel}_{str(x.dtype).removeprefix('torch.')}"
        cuda_module(index).launch(name, blocks, threads, params)


def vector_size(x: torch.Tensor) -> int:
    """How many elements of x one memory access moves."""
    return VECTOR_BYTES // x.element_size()
