"""Convolution with built-in up- or downsampling (spec 1)."""

import torch
import torch.nn.functional as F

from morphoscope.configs import UserError
from morphoscope.configs.arguments import refuse, whole_number
from morphoscope.ops.checks import check_beside, check_images
from morphoscope.ops.conv3x3 import conv3x3
from morphoscope.ops.filters import Padding, downsampling_padding, parse_padding, upsampling_padding
from morphoscope.ops.upfirdn2d import upfirdn2d


def conv2d_resample(
    x: torch.Tensor,
    w: torch.Tensor,
    f: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    weight_is_correlated: bool = True,
    groups: int = 1,
) -> torch.Tensor:
    """Upsample by `up` with filter f, convolve with w, downsample by `down` with f.

    Args:
        x: [N, I, H, W]; float32, float64, float16 or bfloat16.
        w: [O, I/groups, kh, kw], in the dtype of x.
        f: low-pass filter from `setup_filter`; None resamples without filtering.
        up, down: integer factors of at least 1.
        padding: zeros around the image at the upsampled size, in pixels, as in `upfirdn2d`; kh//2 keeps the
            size.
        weight_is_correlated: correlate with w, as torch's convolution does; False is a true convolution, with
            w flipped.
        groups: number of groups into which channels are divided, as in torch's convolution.

    Returns:
        [N, O, H·up//down, W·up//down] if `padding` keeps the size, in the dtype of x. Differentiable any
        number of times.

    Raises:
        UserError: arguments that `upfirdn2d` refuses, or weights that do not fit the images.
    """
    check_convolution(x, w, f, groups)
    if w.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise UserError(f"Images and weights are {x.dtype} and {w.dtype}; both must be the same.")
    if not isinstance(weight_is_correlated, bool):
        refuse("weight_is_correlated", "True or False", weight_is_correlated)
    up, down = whole_number("up", up, 1), whole_number("down", down, 1)
    x0, x1, y0, y1 = _resampling_padding(f, up, down, padding)
    kh, kw = w.shape[2:]
    if x.shape[2] * up + y0 + y1 < kh or x.shape[3] * up + x0 + x1 < kw:
        raise UserError(f"The weights, {kh} x {kw}, are larger than the padded image, from {list(x.shape)}.")

    if kh == kw == 1 and down > 1 and up == 1:  # filter first: the 1x1 convolution then sees fewer pixels
        x = upfirdn2d(x, f, down=down, padding=(x0, x1, y0, y1))
        return _convolve(x, w, weight_is_correlated, groups)
    if kh == kw == 1 and up > 1 and down == 1:  # 1x1 first, for the same reason
        x = _convolve(x, w, weight_is_correlated, groups)
        return upfirdn2d(x, f, up=up, padding=(x0, x1, y0, y1), gain=up**2)
    if down > 1 and up == 1:  # low-pass; then a strided convolution computes only the samples that are kept
        x = upfirdn2d(x, f, padding=(x0, x1, y0, y1))
        return _convolve(x, w, weight_is_correlated, groups, stride=down)
    if up > 1:  # zero insertion and convolution as one transposed convolution, then the low-pass
        x = _transposed(x, w, up, weight_is_correlated, groups)
        x = upfirdn2d(x, f, padding=_transposed_padding((x0, x1, y0, y1), w, up), gain=up**2)
        return upfirdn2d(x, f, down=down) if down > 1 else x
    if x0 == x1 and y0 == y1 and x0 >= 0 and y0 >= 0:
        return _convolve(x, w, weight_is_correlated, groups, padding=(y0, x0))
    return _convolve(upfirdn2d(x, None, padding=(x0, x1, y0, y1)), w, weight_is_correlated, groups)


def check_convolution(x: torch.Tensor, w: torch.Tensor, f: torch.Tensor | None, groups: int = 1) -> None:
    """Raise UserError unless images and weights are tensors that fit together."""
    check_images("x", x)
    if not isinstance(w, torch.Tensor) or w.ndim != 4 or 0 in w.shape or not w.is_floating_point():
        refuse("w", "a floating-point tensor [O, I/groups, kh, kw]", w)
    check_beside("w", w, x, "[O, I/groups, kh, kw]", 4)
    check_beside("f", f, x, "[taps] or [fh, fw]", 1, 2)
    if not isinstance(groups, int | torch.SymInt) or groups < 1 or w.shape[0] % groups:
        refuse("groups", f"a whole number that divides the {w.shape[0]} output channels", groups)
    if w.shape[1] * groups != x.shape[1]:
        raise UserError(
            f"The weights {list(w.shape)} with {groups} groups need {w.shape[1] * groups} channels; the "
            f"images have {x.shape[1]}."
        )


def before_upsampling_filter(
    x: torch.Tensor,
    w: torch.Tensor,
    f: torch.Tensor | None,
    up: int,
    padding: Padding,
    weight_is_correlated: bool,
) -> tuple[torch.Tensor, tuple[int, int, int, int]]:
    """The steps of `conv2d_resample` before its filter, for layers that filter together with their epilogue.

    Args: as in `conv2d_resample`, with up > 1.

    Returns:
        The full convolution [N, O, (H-1)·up + kh, (W-1)·up + kw] of the zero-inserted x, and the padding
        (x0, x1, y0, y1) with which `upfirdn2d(…, f, gain=up²)` completes the resampling.
    """
    around = _resampling_padding(f, up, 1, padding)
    return _transposed(x, w, up, weight_is_correlated, groups=1), _transposed_padding(around, w, up)


def _transposed_padding(
    padding: tuple[int, int, int, int], w: torch.Tensor, up: int
) -> tuple[int, int, int, int]:
    """The padding that remains after the full convolution of a zero-inserted image with w."""
    x0, x1, y0, y1 = padding
    kh, kw = w.shape[2:]
    return (x0 - (kw - 1), x1 - (kw - up), y0 - (kh - 1), y1 - (kh - up))


def _resampling_padding(
    f: torch.Tensor | None, up: int, down: int, padding: Padding
) -> tuple[int, int, int, int]:
    """The padding of all steps together, (x0, x1, y0, y1), to be applied before the first."""
    if up > 1:
        padding = upsampling_padding(f, up, padding)
    if down > 1:
        padding = downsampling_padding(f, down, padding)
    return parse_padding(padding)


def _convolve(
    x: torch.Tensor,
    w: torch.Tensor,
    weight_is_correlated: bool,
    groups: int,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> torch.Tensor:
    if not weight_is_correlated and w.shape[2:] != (1, 1):
        w = w.flip([2, 3])
    if groups == 1 and w.shape[2:] == (3, 3):
        if (stride, padding) == (1, (1, 1)):
            return conv3x3(x, w, "same")
        if (stride, padding) == (2, (0, 0)):
            return conv3x3(x, w, "down")
    return F.conv2d(x, w, stride=stride, padding=padding, groups=groups)


def _transposed(
    x: torch.Tensor, w: torch.Tensor, up: int, weight_is_correlated: bool, groups: int
) -> torch.Tensor:
    """Full convolution of the zero-inserted x: [N, O, (H-1)·up + kh, (W-1)·up + kw]."""
    if weight_is_correlated:
        w = w.flip([2, 3])
    if groups == 1 and w.shape[2:] == (3, 3) and up == 2:
        return conv3x3(x, w, "up")
    out_channels, in_channels, kh, kw = w.shape
    w = w.reshape(groups, out_channels // groups, in_channels, kh, kw).transpose(1, 2)
    return F.conv_transpose2d(x, w.reshape(groups * in_channels, -1, kh, kw), stride=up, groups=groups)
