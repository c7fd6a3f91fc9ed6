"""FIR filters for resampling, the padding that they need, and the size of their results (spec 1)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

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
        ValueError: no taps, more than two axes, or 2-D taps with `separable`.
    """
    f = torch.as_tensor(1.0 if taps is None else taps, dtype=torch.float32, device=device)
    if f.ndim not in (0, 1, 2) or f.numel() == 0:
        raise ValueError(f"A filter has one or two axes and at least one tap, not shape {tuple(f.shape)}.")
    f = f.reshape(1) if f.ndim == 0 else f
    if separable is None:
        separable = f.ndim == 1 and f.numel() >= _SEPARABLE_FROM_TAPS
    if separable and f.ndim == 2:
        raise ValueError("A 2-D filter cannot be kept separable; pass its 1-D taps.")
    if f.ndim == 1 and not separable:
        f = f.outer(f)
    if normalize:
        f = f / f.sum()
    if flip_filter:
        f = f.flip(list(range(f.ndim)))
    return f * gain ** (f.ndim / 2)


def filter_size(f: torch.Tensor | None) -> tuple[int, int]:
    """(width, height) of a filter; (1, 1) for None."""
    return (1, 1) if f is None else (f.shape[-1], f.shape[0])


def parse_factor(factor: Factor) -> tuple[int, int]:
    """Expand one factor, or (x, y), to (x, y).

    Raises:
        ValueError: a factor below 1.
    """
    x, y = (factor, factor) if isinstance(factor, int) else factor
    if x < 1 or y < 1:
        raise ValueError(f"A resampling factor is at least 1, not {factor}.")
    return x, y


def parse_padding(padding: Padding) -> tuple[int, int, int, int]:
    """Expand one number, (x, y) or (x0, x1, y0, y1) to (x0, x1, y0, y1)."""
    if isinstance(padding, int):
        return (padding,) * 4
    if len(padding) == 2:
        return padding[0], padding[0], padding[1], padding[1]
    x0, x1, y0, y1 = padding
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
