"""3x3 convolutions on a CPU: choice of the algorithm, packed weights, and the call.

Each algorithm is a file of csrc/cpu: winograd.cpp, direct.cpp, upsampling.cpp or, for products in bfloat16,
bf16_conv3x3.cpp.
"""

from typing import NamedTuple

import torch

from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import (
    SCALAR_TYPES,
    Conv3x3Params,
    Epilogue,
    PackParams,
    WeightGradientParams,
    address,
)

MODE_CODES = {"same": 0, "down": 1, "up": 2}

# Packed weights of each algorithm per pair of channels.
_PRODUCTS = {"direct": 9, "upsampling": 18, "winograd": 36}
_BFLOAT16_PRODUCTS = {"same": 36, "down": 49, "up": 49}  # bf16_winograd.h
_BFLOAT16_UNIT = 32  # BF16_COLUMNS and BF16_DEPTH of csrc/cpu/bf16.h: channels are packed in whole units

# Winograd's weights are four times as large as the original ones, so that with few tiles it waits for memory.
# Below this number of results per channel, direct products are faster.
_WINOGRAD_FROM_PIXELS = 200


@torch.compiler.assume_constant_result
def channel_multiple() -> int:
    """Numbers of channels must be multiples of this (16 with AVX2)."""
    return cpu_library().number("conv3x3_multiple")


def output_size(size: torch.Size, mode: str, adjoint: bool = False) -> tuple[int, int]:
    """(H', W') of the convolution of images of `size` [N, C, H, W], or of its transpose if `adjoint`."""
    h, w = size[2:]
    if mode == "same":
        return h, w
    if (mode == "up") != adjoint:
        return 2 * h + 1, 2 * w + 1
    return (h - 1) // 2, (w - 1) // 2


def conv3x3(
    x: torch.Tensor, w: torch.Tensor, mode: str, adjoint: bool, bfloat16: int | None = None
) -> torch.Tensor:
    """Kernel of `ops.conv3x3`: one convolution or its transpose, either with w [O, C, 3, 3]."""
    weights = view_of(w, mode, adjoint)
    pixels = x.shape[0] * x.shape[2] * x.shape[3]
    return run(x, pack(weights, algorithm_for(pixels, weights, bfloat16)), bfloat16=bfloat16)


class Weights(NamedTuple):
    """Weights for a kernel: `tensor` [O, C, 3, 3] of any strides, and whether its taps are reversed."""

    tensor: torch.Tensor
    flipped: bool
    mode: str


def view_of(w: torch.Tensor, mode: str, adjoint: bool) -> Weights:
    """Weights of the convolution, or of its transpose: channels exchanged and, for "same", taps reversed."""
    if not adjoint:
        return Weights(w, False, mode)
    return Weights(w.transpose(0, 1), mode == "same", {"same": "same", "down": "up", "up": "down"}[mode])


def algorithm_for(pixels: int, weights: Weights, bfloat16: int | None) -> str:
    """A key of `_PRODUCTS`, or "bfloat16", for a number of results per channel."""
    if bfloat16 is not None:
        return "bfloat16"
    if weights.mode == "up":
        return "upsampling"
    return "winograd" if weights.mode == "same" and pixels >= _WINOGRAD_FROM_PIXELS else "direct"


class Packed(NamedTuple):
    """Weights in the order in which the kernels of `algorithm` read them."""

    data: torch.Tensor
    algorithm: str
    mode: str
    channels: int


def pack(weights: Weights, algorithm: str) -> Packed:
    """Pack weights [O, C, 3, 3] for `algorithm`."""
    w, flipped, mode = weights
    if algorithm == "bfloat16":
        units = [-(-channels // _BFLOAT16_UNIT) * _BFLOAT16_UNIT for channels in w.shape[:2]]
        packed = w.new_empty(_BFLOAT16_PRODUCTS[mode] * units[0] * units[1], dtype=torch.bfloat16)
    else:
        packed = w.new_empty(_PRODUCTS[algorithm] * w.shape[0] * w.shape[1])
    strides = list(w.stride())
    last_tap = 2 * (strides[2] + strides[3]) * w.element_size() if flipped else 0
    if flipped:
        strides[2:] = [-strides[2], -strides[3]]
    params = PackParams(
        w=w.data_ptr() + last_tap,
        packed=address(packed),
        dtype=SCALAR_TYPES[w.dtype],
        c=w.shape[1],
        o=w.shape[0],
        stride_o=strides[0],
        stride_c=strides[1],
        stride_y=strides[2],
        stride_x=strides[3],
        mode=MODE_CODES[mode],
    )
    cpu_library().call(f"{algorithm}_weight", params)
    return Packed(packed, algorithm, mode, w.shape[0])


def run(
    x: torch.Tensor,
    packed: Packed,
    s: torch.Tensor | None = None,
    f: torch.Tensor | None = None,
    epilogue: Epilogue | None = None,
    bfloat16: int | None = None,
) -> torch.Tensor:
    """Convolve x · s [N, C], correlate the result of "up" with f [4, 4], apply the epilogue: one call.

    `bfloat16` is the value of `Instructions` for weights that are packed for "bfloat16".
    """
    x = x.contiguous(memory_format=torch.channels_last)
    n, c, h, w = x.shape
    size = output_size(x.shape, packed.mode) if f is None else (2 * h, 2 * w)
    y = torch.empty([n, packed.channels, *size], dtype=x.dtype, memory_format=torch.channels_last)
    params = Conv3x3Params(
        x=address(x),
        weight=address(packed.data),
        s=address(s),
        f=address(f),
        y=address(y),
        dtype=SCALAR_TYPES[x.dtype],
        mode=MODE_CODES[packed.mode],
        n=n,
        h=h,
        w=w,
        c=c,
        o=packed.channels,
        instructions=bfloat16 or 0,
        has_epilogue=epilogue is not None,
    )
    if epilogue is not None:
        params.epilogue = epilogue
    cpu_library().call(f"{packed.algorithm}_conv3x3", params)
    return y


def conv3x3_weight_gradient(
    x: torch.Tensor, dy: torch.Tensor, mode: str, bfloat16: int | None = None
) -> torch.Tensor:
    """Kernel of the gradient of `ops.conv3x3` with respect to w [O, C, 3, 3]."""
    x = x.contiguous(memory_format=torch.channels_last)
    dy = dy.contiguous(memory_format=torch.channels_last)
    n, c, h, w = x.shape
    dw = x.new_empty([dy.shape[1], c, 3, 3])
    params = WeightGradientParams(
        x=address(x),
        dy=address(dy),
        dw=address(dw),
        dtype=SCALAR_TYPES[x.dtype],
        mode=MODE_CODES[mode],
        n=n,
        h=h,
        w=w,
        c=c,
        o=dy.shape[1],
        instructions=bfloat16 or 0,
    )
    algorithm = "bfloat16" if bfloat16 is not None else "winograd" if mode == "same" else "direct"
    cpu_library().call(f"{algorithm}_weight_gradient", params)
    return dw
