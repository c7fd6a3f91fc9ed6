"""Upsample, FIR-filter, downsample (spec 1): the resampling in blurs, skip connections and augmentation."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from morphoscope.configs import UserError
from morphoscope.configs.arguments import real_number, refuse
from morphoscope.ops.checks import check_beside, check_images
from morphoscope.ops.cpu.upfirdn2d import upfirdn2d_cpu
from morphoscope.ops.cuda.upfirdn2d import upfirdn2d_cuda
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.filters import (
    Factor,
    Padding,
    Resampling,
    downsampling_padding,
    filter_size,
    parse_factor,
    parse_padding,
    resampled_size,
    upsampling_padding,
)
from morphoscope.ops.library import LIBRARY, define, empty_images
from morphoscope.ops.precision import own_precision


def upfirdn2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    up: Factor = 1,
    down: Factor = 1,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> torch.Tensor:
    """Insert zeros, pad, filter and keep every `down`-th sample, in each channel.

    Args:
        x: [N, C, H, W]; float32, float64, float16 or bfloat16.
        f: [fh, fw], [taps] (separable) or None (identity), from `setup_filter`. If the filter requires a
            gradient, the reference twin runs.
        up, down: integer factors of at least 1: one for both axes, or (x, y).
        padding: zeros around the upsampled image, in pixels: one number, (x, y) or (x0, x1, y0, y1). Negative
            numbers crop.
        flip_filter: correlate with f instead of convolving.
        gain: factor of the result.

    Returns:
        [N, C, (H·up_y + y0 + y1 - fh)//down_y + 1, (W·up_x + x0 + x1 - fw)//down_x + 1], in the dtype and
        memory order of x; differentiable any number of times.

    Raises:
        UserError: images without channels or pixels or of another dtype, factors below 1, padding that crops
            everything, a filter that is larger than the padded image, or an argument of another type.
    """
    resampling = parse_upfirdn2d(x, f, up, down, padding, flip_filter, gain)
    learned = f is not None and f.requires_grad and torch.is_grad_enabled()
    if not learned and native_runs(x.device.type, x.device.index):
        f = torch.ones([1, 1], device=x.device) if f is None else f
        return _upfirdn2d(x, f, *resampling)
    with own_precision(x):
        return upfirdn2d_reference(x, f, resampling)


def upfirdn2d_reference(x: torch.Tensor, f: torch.Tensor | None, resampling: Resampling) -> torch.Tensor:
    """Reference twin of `upfirdn2d` in plain torch, with every option given: the four steps in turn."""
    up, (down_x, down_y), padding, flip, gain = resampling
    x = _insert_zeros(x, *up)
    x = _pad_or_crop(x, *padding)
    if f is None:
        return x[:, :, ::down_y, ::down_x] * gain
    f = (f.to(torch.promote_types(f.dtype, x.dtype)) * gain ** (f.ndim / 2)).to(x.dtype)
    if not flip:  # torch's convolution correlates
        f = f.flip(list(range(f.ndim)))
    if f.ndim == 2:
        return _filter(x, f, (down_y, down_x))
    x = _filter(x, f[None, :], (1, down_x))
    return _filter(x, f[:, None], (down_y, 1))


def filter2d(
    x: torch.Tensor, f: torch.Tensor, padding: Padding = 0, flip_filter: bool = False, gain: float = 1.0
) -> torch.Tensor:
    """Filter at the same size: [N, C, H, W] -> [N, C, H, W], plus `padding`. Arguments as in `upfirdn2d`."""
    fw, fh = filter_size(f)
    x0, x1, y0, y1 = parse_padding(padding)
    around = [x0 + fw // 2, x1 + (fw - 1) // 2, y0 + fh // 2, y1 + (fh - 1) // 2]
    return upfirdn2d(x, f, padding=around, flip_filter=flip_filter, gain=gain)


def upsample2d(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Factor = 2,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> torch.Tensor:
    """Upsample: [N, C, H, W] -> [N, C, H·up_y, W·up_x], plus `padding`. Arguments as in `upfirdn2d`.

    A filter of sum 1 keeps the mean brightness.
    """
    up_x, up_y = parse_factor(up)
    gain = real_number("gain", gain)
    around = upsampling_padding(f, up, padding)
    return upfirdn2d(x, f, up=up, padding=around, flip_filter=flip_filter, gain=gain * up_x * up_y)


def downsample2d(
    x: torch.Tensor,
    f: torch.Tensor,
    down: Factor = 2,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> torch.Tensor:
    """Downsample: [N, C, H, W] -> [N, C, H//down_y, W//down_x], plus `padding`.

    Arguments as in `upfirdn2d`.
    """
    around = downsampling_padding(f, down, padding)
    return upfirdn2d(x, f, down=down, padding=around, flip_filter=flip_filter, gain=gain)


def parse_upfirdn2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    up: Factor,
    down: Factor,
    padding: Padding,
    flip_filter: bool,
    gain: float,
) -> Resampling:
    """Check the arguments of `upfirdn2d`, and expand factors and padding to a number for every axis or side.

    Raises:
        UserError: see `upfirdn2d`.
    """
    check_images("x", x)
    check_beside("f", f, x, "[taps] or [fh, fw]", 1, 2)
    if not isinstance(flip_filter, bool):
        refuse("flip_filter", "True or False", flip_filter)
    up, down, around = parse_factor(up), parse_factor(down), parse_padding(padding)
    x0, x1, y0, y1 = around
    height, width = x.shape[2] * up[1], x.shape[3] * up[0]
    if width + min(x0, 0) + min(x1, 0) < 1 or height + min(y0, 0) + min(y1, 0) < 1:
        raise UserError(
            f"A padding of {around} crops more than the {height} x {width} pixels of the upsampled image."
        )
    fw, fh = filter_size(f)
    if width + x0 + x1 < fw or height + y0 + y1 < fh:
        raise UserError(
            f"The filter, {fh} x {fw}, is larger than the padded image, "
            f"{height + y0 + y1} x {width + x0 + x1}."
        )
    return Resampling(up, down, around, flip_filter, real_number("gain", gain))


def _insert_zeros(x: torch.Tensor, up_x: int, up_y: int) -> torch.Tensor:
    if up_x == 1 and up_y == 1:
        return x
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n, c, h, 1, w, 1), [0, up_x - 1, 0, 0, 0, up_y - 1])
    return x.reshape(n, c, h * up_y, w * up_x)


def _pad_or_crop(x: torch.Tensor, x0: int, x1: int, y0: int, y1: int) -> torch.Tensor:
    if not (x0 or x1 or y0 or y1):
        return x
    return F.pad(x, [x0, x1, y0, y1])


def _filter(x: torch.Tensor, f: torch.Tensor, stride: tuple[int, int]) -> torch.Tensor:
    """Correlate each channel with f [fh, fw], without padding."""
    channels = x.shape[1]
    return F.conv2d(x, f.expand(channels, 1, *f.shape), stride=stride, groups=channels)


def fake_upfirdn2d(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    gain: float,
    *_: Any,
) -> torch.Tensor:
    """Shape rule of the operation `upfirdn2d` and, with more arguments, of `upfirdn2d_epilogue`."""
    return empty_images(x, resampled_size(x.shape, f, Resampling(up, down, padding, flip, gain)))


# up and down are (x, y), padding is (x0, x1, y0, y1); f gets no gradient.
_upfirdn2d = define(
    "upfirdn2d(Tensor x, Tensor f, int[2] up, int[2] down, SymInt[4] padding, bool flip, float gain) "
    "-> Tensor",
    fake=fake_upfirdn2d,
    cpu=upfirdn2d_cpu,
    cuda=upfirdn2d_cuda,
)


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, f, *options = inputs
    ctx.resampling = Resampling(*options)
    ctx.sizes = x.shape[2:], output.shape[2:]
    ctx.save_for_backward(f)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, u: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    """The transpose is the same operation, with factors exchanged and the filter flipped (spec 1)."""
    if u is None:
        return (None,) * 7
    (f,) = ctx.saved_tensors
    up, down, (x0, _, y0, _), flip, gain = ctx.resampling
    (ih, iw), (oh, ow) = ctx.sizes
    fw, fh = filter_size(f)
    padding = (
        fw - x0 - 1,
        iw * up[0] - ow * down[0] + x0 - up[0] + 1,
        fh - y0 - 1,
        ih * up[1] - oh * down[1] + y0 - up[1] + 1,
    )
    return (_upfirdn2d(u, f, down, up, padding, not flip, gain), *(None,) * 6)


torch.library.register_autograd("morphoscope::upfirdn2d", _backward, setup_context=_save, lib=LIBRARY)
