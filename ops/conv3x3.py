"""The 3x3 convolutions of the networks, differentiable twice, with native kernels on a CPU.

A convolution is linear in its input and in its weights. Therefore three maps are closed under
differentiation: the convolution, its transpose, and the gradient with respect to the weights.
"""

from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F

from morphoscope.ops.cpu import conv3x3 as cpu
from morphoscope.ops.cpu.conv3x3 import output_size
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.library import LIBRARY, define
from morphoscope.ops.precision import bfloat16_chosen

Mode = Literal["same", "down", "up"]


def conv3x3(x: torch.Tensor, w: torch.Tensor, mode: Mode = "same") -> torch.Tensor:
    """Convolve with w, differentiable any number of times.

    Args:
        x: [N, C, H, W], floating-point; the native kernels take float32 and float64.
        w: [O, C, 3, 3], in the dtype of x.
        mode: "same" correlates with padding 1, and H' x W' is H x W. "down" correlates at stride 2 without
            padding, and H' x W' is (H - 1)/2 x (W - 1)/2 for odd H and W. "up" is the transpose of "down",
            out[2i + t] += x[i] · w[t], and H' x W' is 2H + 1 x 2W + 1.

    Returns:
        [N, O, H', W'], channels last if `supported`. NaN and infinity reach every result that they reach in
        torch; where Winograd's algorithm shares products, also the rest of a tile of 4 x 4 results.

    Raises:
        ValueError: an unknown mode.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"Unknown mode '{mode}'; choose one of {', '.join(get_args(Mode))}.")
    if supported(x, w, mode):
        bfloat16 = bfloat16_chosen() if x.dtype == torch.float32 else None
        result: torch.Tensor = _conv3x3(x, w, mode, False, bfloat16)
        return result
    return conv3x3_reference(x, w, mode)


def conv3x3_reference(x: torch.Tensor, w: torch.Tensor, mode: Mode) -> torch.Tensor:
    """Reference twin of `conv3x3`: torch's convolutions."""
    if mode == "up":
        return F.conv_transpose2d(x, w.transpose(0, 1), stride=2)
    return F.conv2d(x, w, padding=1) if mode == "same" else F.conv2d(x, w, stride=2)


def supported(x: torch.Tensor, w: torch.Tensor, mode: Mode) -> bool:
    """Whether the native kernels compute it: on a CPU, in whole panels of channels; odd sizes for "down"."""
    return (
        x.device.type == "cpu"
        and x.dtype == w.dtype
        and x.dtype in (torch.float32, torch.float64)
        and x.numel() > 0
        and (mode != "down" or (x.shape[2] % 2 == 1 and x.shape[3] % 2 == 1 and min(x.shape[2:]) >= 3))
        and native_runs("cpu", None)
        and x.shape[1] % cpu.channel_multiple() == 0
        and w.shape[0] % cpu.channel_multiple() == 0
    )


def _fake_conv3x3(
    x: torch.Tensor, w: torch.Tensor, mode: Mode, adjoint: bool, bfloat16: int | None = None
) -> torch.Tensor:
    channels = w.shape[1] if adjoint else w.shape[0]
    shape = (x.shape[0], channels, *output_size(x.shape, mode, adjoint))
    return x.new_empty(shape).to(memory_format=torch.channels_last)


def _fake_weight_gradient(
    x: torch.Tensor, dy: torch.Tensor, mode: Mode, bfloat16: int | None = None
) -> torch.Tensor:
    return x.new_empty([dy.shape[1], x.shape[1], 3, 3])


# `conv3x3`, or with `adjoint` its transpose from [N, O, H', W'] to [N, C, H, W]. `bfloat16` is None, or the
# value of `Instructions` that multiply in bfloat16, also in derivatives.
_conv3x3 = define(
    "conv3x3(Tensor x, Tensor w, str mode, bool adjoint, int? bfloat16=None) -> Tensor",
    _fake_conv3x3,
    cpu.conv3x3,
)
# x [N, C, H, W] and the gradient of its convolution -> gradient of the weights [O, C, 3, 3].
_weight_gradient = define(
    "conv3x3_weight_gradient(Tensor x, Tensor dy, str mode, int? bfloat16=None) -> Tensor",
    _fake_weight_gradient,
    cpu.conv3x3_weight_gradient,
)


def _save_convolution(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, w, ctx.mode, ctx.adjoint, ctx.bfloat16 = inputs
    ctx.save_for_backward(x, w)


def _differentiate_convolution(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, w = ctx.saved_tensors
    dx = _conv3x3(dy, w, ctx.mode, not ctx.adjoint, ctx.bfloat16) if ctx.needs_input_grad[0] else None
    forward, backward = (dy, x) if ctx.adjoint else (x, dy)
    dw = _weight_gradient(forward, backward, ctx.mode, ctx.bfloat16) if ctx.needs_input_grad[1] else None
    return dx, dw, None, None, None


def _save_weight_gradient(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, dy, ctx.mode, ctx.bfloat16 = inputs
    ctx.save_for_backward(x, dy)


def _differentiate_weight_gradient(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, dy = ctx.saved_tensors
    dx = _conv3x3(dy, g, ctx.mode, True, ctx.bfloat16) if ctx.needs_input_grad[0] else None
    ddy = _conv3x3(x, g, ctx.mode, False, ctx.bfloat16) if ctx.needs_input_grad[1] else None
    return dx, ddy, None, None


torch.library.register_autograd(
    "morphoscope::conv3x3", _differentiate_convolution, setup_context=_save_convolution, lib=LIBRARY
)
torch.library.register_autograd(
    "morphoscope::conv3x3_weight_gradient",
    _differentiate_weight_gradient,
    setup_context=_save_weight_gradient,
    lib=LIBRARY,
)
