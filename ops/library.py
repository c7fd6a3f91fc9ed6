"""The dispatcher's library `morphoscope`: each operation's schema, kernel per device and shape rule.

The library is defined in Python rather than with TORCH_LIBRARY in C++: schemas exist whether or not anything
has been compiled, and one binding serves g++, nvcc and NVRTC. Kernels take plain pointers, so that a build
reads no torch header and works with every version of torch.
"""

from collections.abc import Callable

import torch

_Results = torch.Tensor | tuple[torch.Tensor, ...]

LIBRARY = torch.library.Library("morphoscope", "DEF")


def define(
    schema: str,
    fake: Callable[..., _Results],
    cpu: Callable[..., _Results],
    cuda: Callable[..., _Results] | None = None,
) -> torch._ops.OpOverload:
    """Define the operation `torch.ops.morphoscope.<name>`.

    Args:
        schema: "name(Tensor x, …) -> Tensor".
        fake: returns an empty result of the right shape, dtype and strides, without reading values.
        cpu, cuda: compute the result, or the tuple of results. Like `fake`, they take the arguments of the
            schema in its order.
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
    """Whether any of the operands requires a gradient that autograd records."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in operands)


def empty_images(like: torch.Tensor, size: tuple[int, int, int, int]) -> torch.Tensor:
    """Uninitialised images of `size` [N, C, H, W] with the memory order (NCHW or channels last) of `like`."""
    channels = like.shape[1]
    channels_last = channels > 1 and like.stride(1) == 1 and like.stride(3) >= channels
    order = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=order)
