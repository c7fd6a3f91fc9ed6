"""Upsample, FIR-filter, downsample (spec 1): the resampling under every blur, skip and augmentation."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

Padding = int | Sequence[int]
Factor = int | Sequence[int]

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
    """Make the float32 filter that the other functions of this file take.

    Args:
        taps: 1-D or 2-D coefficients; None is the identity.
        normalize: scale to sum 1.
        gain: the overall gain; a separable filter carries its square root in each axis.
        separable: keep 1-D taps 1-D; by default from 8 taps on, where two passes are cheaper than one.

    Returns:
        [taps] if separable, else [fh, fw].
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


def upfirdn2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    up: Factor = 1,
    down: Factor = 1,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> torch.Tensor:
    """Insert zeros, pad, filter, keep every `down`-th sample, per channel.

    Args:
        x: [N, C, H, W].
        f: [fh, fw], [taps] (separable) or None (identity), from `setup_filter`.
        up, down: integer factors, one for both axes or (x, y).
        padding: zeros around the upsampled image, one number, (x, y) or (x0, x1, y0, y1); negative crops.
        flip_filter: correlate instead of convolving.

    Returns:
        [N, C, (H·up_y + y0 + y1 - fh)//down_y + 1, and alike for W]; differentiable any number of times.
    """
    if x.ndim != 4:
        raise ValueError(f"upfirdn2d takes images [N, C, H, W], not shape {tuple(x.shape)}.")
    up_x, up_y = _pair(up)
    down_x, down_y = _pair(down)
    x0, x1, y0, y1 = parse_padding(padding)
    x = _insert_zeros(x, up_x, up_y)
    x = _pad_or_crop(x, x0, x1, y0, y1)
    if f is None:
        return x[:, :, ::down_y, ::down_x] * gain
    f = (f * gain ** (f.ndim / 2)).to(x.dtype)
    if not flip_filter:  # torch's convolution correlates
        f = f.flip(list(range(f.ndim)))
    if f.ndim == 2:
        return _filter(x, f, (down_y, down_x))
    x = _filter(x, f[None, :], (1, down_x))
    return _filter(x, f[:, None], (down_y, 1))


def filter2d(
    x: torch.Tensor, f: torch.Tensor, padding: Padding = 0, flip_filter: bool = False, gain: float = 1.0
) -> torch.Tensor:
    """Filter at the same size: [N, C, H, W] -> [N, C, H, W] (plus `padding`)."""
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
    """Upsample: [N, C, H, W] -> [N, C, H·up, W·up] (plus `padding`), keeping the mean brightness."""
    up_x, up_y = _pair(up)
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
    """Downsample: [N, C, H, W] -> [N, C, H//down, W//down] (plus `padding`)."""
    around = downsampling_padding(f, down, padding)
    return upfirdn2d(x, f, down=down, padding=around, flip_filter=flip_filter, gain=gain)


def upsampling_padding(f: torch.Tensor | None, up: Factor, padding: Padding) -> tuple[int, int, int, int]:
    """`padding` plus what makes upsampling by `up` with f give exactly `up` times the size."""
    up_x, up_y = _pair(up)
    fw, fh = filter_size(f)
    x0, x1, y0, y1 = parse_padding(padding)
    return (
        x0 + (fw + up_x - 1) // 2,
        x1 + (fw - up_x) // 2,
        y0 + (fh + up_y - 1) // 2,
        y1 + (fh - up_y) // 2,
    )


def downsampling_padding(f: torch.Tensor | None, down: Factor, padding: Padding) -> tuple[int, int, int, int]:
    """`padding` plus what makes downsampling by `down` with f divide the size by exactly `down`."""
    down_x, down_y = _pair(down)
    fw, fh = filter_size(f)
    x0, x1, y0, y1 = parse_padding(padding)
    return (
        x0 + (fw - down_x + 1) // 2,
        x1 + (fw - down_x) // 2,
        y0 + (fh - down_y + 1) // 2,
        y1 + (fh - down_y) // 2,
    )


def filter_size(f: torch.Tensor | None) -> tuple[int, int]:
    """(width, height) of a filter; (1, 1) for None."""
    return (1, 1) if f is None else (f.shape[-1], f.shape[0])


def parse_padding(padding: Padding) -> tuple[int, int, int, int]:
    """One number, (x, y) or (x0, x1, y0, y1) as (x0, x1, y0, y1)."""
    if isinstance(padding, int):
        return (padding,) * 4
    if len(padding) == 2:
        return padding[0], padding[0], padding[1], padding[1]
    x0, x1, y0, y1 = padding
    return x0, x1, y0, y1


def _pair(factor: Factor) -> tuple[int, int]:
    x, y = (factor, factor) if isinstance(factor, int) else factor
    if x < 1 or y < 1:
        raise ValueError(f"A resampling factor is at least 1, not {factor}.")
    return x, y


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
    """Correlate each channel with f [fh, fw], valid region."""
    channels = x.shape[1]
    return F.conv2d(x, f.expand(channels, 1, *f.shape), stride=stride, groups=channels)
