"""The dispatcher's library `morphoscope`: a schema an operation, its executions by device, its shape rule.

Python's form of TORCH_LIBRARY: schemas exist before, and whether or not, anything is compiled, and one
binding serves g++, nvcc and NVRTC. Kernels take plain pointers, so a build reads no torch header and fits
every torch.
"""

from collections.abc import Callable

import torch

LIBRARY = torch.library.Library("morphoscope", "DEF")


def define(
    schema: str,
    fake: Callable[..., torch.Tensor],
    cpu: Callable[..., torch.Tensor],
    cuda: Callable[..., torch.Tensor] | None = None,
) -> torch._ops.OpOverload:
    """Make the operation `torch.ops.morphoscope.<name>` of a schema "name(Tensor x, …) -> Tensor".

    Args:
        fake: gives an empty result of the right shape, dtype and strides, without looking at values.
        cpu, cuda: compute it; they get what the schema says.
    """
    name = schema.partition("(")[0]
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, cpu, "CPU")
    if cuda is not None:
        LIBRARY.impl(name, cuda, "CUDA")
    torch.library.register_fake(f"morphoscope::{name}", fake, lib=LIBRARY)
    operation: torch._ops.OpOverload = getattr(torch.ops.morphoscope, name).default
    return operation


def differentiated(*operands: torch.Tensor | None) -> bool:
    """Whether a gradient is asked for with respect to any of the operands."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in operands)


def empty_images(like: torch.Tensor, size: tuple[int, int, int, int]) -> torch.Tensor:
    """Room for images of `size` [N, C, H, W], in memory NCHW or channels last as the images `like` are."""
    channels = like.shape[1]
    channels_last = channels > 1 and like.stride(1) == 1 and like.stride(3) >= channels
    order = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=order)
