"""Launching of CUDA kernels, shared by their bindings."""

import ctypes
from typing import Any

import torch

from morphoscope.ops.native.cuda_module import cuda_module

THREADS = 256  # per block
VECTOR_BYTES = 16  # per memory access
_MOST_BLOCKS = 1 << 16  # kernels loop over the rest, so that any grid size gives the same result


def launch(
    kernel: str, x: torch.Tensor, threads_needed: int, params: ctypes.Structure, threads: int = THREADS
) -> None:
    """Launch a kernel's instance for the dtype of x, on the device of x and torch's current stream."""
    index: Any = x.device.index
    blocks = min(-(-threads_needed // threads), _MOST_BLOCKS)
    if blocks:
        name = f"{kernel}_{str(x.dtype).removeprefix('torch.')}"
        cuda_module(index).launch(name, blocks, threads, params)


def vector_size(x: torch.Tensor) -> int:
    """Number of elements of x that one memory access moves."""
    return VECTOR_BYTES // x.element_size()
