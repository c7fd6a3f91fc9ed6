"""FIR filters for resampling, the padding that they need, and the size of their results (spec 1)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from morphoscope.configs import UserError
from morphoscope.configs.arguments import flag, real_number, refuse
from morphoscope.ops.checks import check_integers
from morphoscope.runtime.torch_devices import resolve_device

Padding = int | Sequence[int]
Factor = int | Sequence[int]


class Resampling(NamedTuple):
    """How `upfirdn2d` resamples, with a number for every axis or side.

    Attributes:
        up, down: integer factors (x, y).
        padding: zeros around the upsampled image (x0, x1, y0, y1), in pixels; negative numbers crop.
        flip: correlate with the filter instead of convolving.
        gain: factor of the result.
    """

    up: Sequence[int]
    down: Sequence[int]
    padding: Sequence[int]
    flip: bool
    gain: float


NO_RESAMPLING = Resampling((1, 1), (1, 1), (0, 0, 0, 0), False, 1.0)

_SEPARABLE_FROM_TAPS = 8


def setup_filter(
    taps: Sequence[float] | Sequence[Sequence[float]] | torch.Tensor | None,
    *,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1.0,
    separable: bool | None = None,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Create the filter that the resampling functions take.

    Args:
        taps: coefficients [taps] or [fh, fw]; None is the identity.
        normalize: scale the taps to a sum of 1.
        flip_filter: reverse the order of the taps.
        gain: gain of the whole filter; a separable filter has its square root in each axis.
        separable: keep 1-D taps 1-D. None does so from 8 taps on, where two passes are cheaper than one.
        device: where the filter is created; None is torch's default device.

    Returns:
        float32, [taps] if separable, otherwise [fh, fw].

    Raises:
        UserError: no taps, more than two axes, 2-D taps with `separable`, or an option of another type.
    """
    device = None if device is None else resolve_device(device)
    try:
        f = torch.as_tensor(1.0 if taps is None else taps, dtype=torch.float32, device=device)
    except (TypeError, ValueError, RuntimeError):
        refuse("taps", "numbers [taps] or [fh, fw], or None", taps)
    if f.ndim not in (0, 1, 2) or f.numel() == 0:
        refuse("taps", "numbers [taps] or [fh, fw], at least one", taps)
    gain = real_number("gain", gain)
    for name, value in (("normalize", normalize), ("flip_filter", flip_filter)):
        flag(name, value)
    if separable is not None:
        flag("separable", separable)
    f = f.reshape(1) if f.ndim == 0 else f
    if separable is None:
        separable = f.ndim == 1 and f.numel() >= _SEPARABLE_FROM_TAPS
    if separable and f.ndim == 2:
        raise UserError("A 2-D filter cannot be kept separable; pass its 1-D taps.")
    if f.ndim == 1 and not separable:
        f = f.outer(f)
    if normalize:
        f = f / f.sum()
    if flip_filter:
        f = f.flip(list(range(f.ndim)))
    return f * gain ** (f.ndim / 2)


def filter_size(f: torch.Tensor | None) -> tuple[int, int]:
    """(width, height) of a filter; (1, 1) for None.

    Raises:
        UserError: no filter.
    """
    if f is None:
        return 1, 1
    if not isinstance(f, torch.Tensor) or f.ndim not in (1, 2) or 0 in f.shape or not f.is_floating_point():
        refuse("f", "None or a filter from setup_filter, a floating-point tensor [taps] or [fh, fw]", f)
    return f.shape[-1], f.shape[0]


def parse_factor(factor: Factor) -> tuple[int, int]:
    """Expand one factor, or (x, y), to (x, y).

    Raises:
        UserError: a factor below 1, or no whole number.
    """
    takes = "a whole number of at least 1, or two (x, y)"
    found = check_integers("A resampling factor (up, down)", factor, (2,), takes)
    x, y = found[0], found[-1]
    if x < 1 or y < 1:
        refuse("A resampling factor (up, down)", takes, factor)
    return x, y


def parse_padding(padding: Padding) -> tuple[int, int, int, int]:
    """Expand one number, (x, y) or (x0, x1, y0, y1) to (x0, x1, y0, y1).

    Raises:
        UserError: something else.
    """
    found = check_integers("padding", padding, (2, 4), "a whole number, (x, y) or (x0, x1, y0, y1)")
    if len(found) < 4:
        return found[0], found[0], found[-1], found[-1]
    x0, x1, y0, y1 = found
    return x0, x1, y0, y1


def upsampling_padding(f: torch.Tensor | None, up: Factor, padding: Padding) -> tuple[int, int, int, int]:
    """`padding` plus the (x0, x1, y0, y1) with which upsampling with f gives exactly `up` times the size."""
    up_x, up_y = parse_factor(up)
    fw, fh = filter_size(f)
    x0, x1, y0, y1 = parse_padding(padding)
    return (
        x0 + (fw + up_x - 1) // 2,
        x1 + (fw - up_x) // 2,
        y0 + (fh + up_y - 1) // 2,
        y1 + (fh - up_y) // 2,
    )


def downsampling_padding(f: torch.Tensor | None, down: Factor, padding: Padding) -> tuple[int, int, int, int]:
    """`padding` plus the (x0, x1, y0, y1) with which downsampling with f divides the size by `down`."""
    down_x, down_y = parse_factor(down)
    fw, fh = filter_size(f)
    x0, x1, y0, y1 = parse_padding(padding)
    return (
        x0 + (fw - down_x + 1) // 2,
        x1 + (fw - down_x) // 2,
        y0 + (fh - down_y + 1) // 2,
        y1 + (fh - down_y) // 2,
    )


def resampled_size(
    size: Sequence[int], f: torch.Tensor | None, resampling: Resampling
) -> tuple[int, int, int, int]:
    """Size [N, C, H', W'] of the result of `upfirdn2d` for images of `size` [N, C, H, W]."""
    n, c, h, w = size
    fw, fh = filter_size(f)
    up, down, (x0, x1, y0, y1), _, _ = resampling
    height = (h * up[1] + y0 + y1 - fh) // down[1] + 1
    width = (w * up[0] + x0 + x1 - fw) // down[0] + 1
    return n, c, height, width
