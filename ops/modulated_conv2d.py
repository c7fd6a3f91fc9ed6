"""Convolution whose weights are scaled per sample by a style (StyleGAN2, section 2.2; spec 1)."""

import torch

from morphoscope.configs.arguments import refuse
from morphoscope.ops.checks import check_beside
from morphoscope.ops.conv2d_resample import check_convolution, conv2d_resample
from morphoscope.ops.dispatch import reference_chosen
from morphoscope.ops.filters import Padding, parse_padding
from morphoscope.ops.modulation import inverse_norms, prescaled, weight_energy
from morphoscope.ops.row_products import row_products


def modulated_conv2d(
    x: torch.Tensor,
    w: torch.Tensor,
    s: torch.Tensor,
    f: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    demodulate: bool = True,
    weight_is_correlated: bool = True,
) -> torch.Tensor:
    """Convolve sample n with the weights w · s[n].

    The implementation scales x by the styles, convolves once with w, and scales the result by the
    demodulation coefficients; with one input channel, it scales the result by both. A 1x1 convolution is a
    product with per-sample weights. Under backend("reference") it is `modulated_conv2d_grouped`.

    Args:
        x: [N, I, H, W]; float32, float64, float16 or bfloat16.
        w: [O, I, k, k].
        s: styles [N, I].
        f, up, down, padding, weight_is_correlated: as in `conv2d_resample`.
        demodulate: normalise the weights of each sample and output channel to unit length.

    Returns:
        [N, O, H·up//down, W·up//down] if `padding` keeps the size, in the dtype of x. Differentiable any
        number of times.

    Raises:
        UserError: arguments that `conv2d_resample` refuses, or styles of another shape.
    """
    check_modulated(x, w, s, f)
    if not isinstance(demodulate, bool):
        refuse("demodulate", "True or False", demodulate)
    # In an export the number of images is a symbol, and ONNX takes only a constant as the number of groups.
    if reference_chosen() and not torch.compiler.is_exporting():
        return modulated_conv2d_grouped(x, w, s, f, up, down, padding, demodulate, weight_is_correlated)
    if w.shape[2:] == (1, 1) and up == down == 1 and parse_padding(padding) == (0, 0, 0, 0):
        return _modulated_product(x, w, s, demodulate)
    if demodulate:
        w, s = prescaled(x, w, s)
    scale = demodulation(weight_energy(w), s) if demodulate else None
    if scale is not None and s.shape[1] == 1:
        # One style for all of a sample, so that y depends on its sign only. Its gradient is a difference of
        # equal terms. They cancel in this product, but not if each is a rounded sum over pixels.
        scale = scale * s
    else:
        x = x * s.to(x.dtype)[:, :, None, None]
    y = conv2d_resample(x, w.to(x.dtype), f, up, down, padding, weight_is_correlated)
    return y if scale is None else y * scale.to(x.dtype)[:, :, None, None]


def check_modulated(x: torch.Tensor, w: torch.Tensor, s: torch.Tensor, f: torch.Tensor | None) -> None:
    """Raise UserError unless images, weights and styles are tensors that fit together."""
    check_convolution(x, w, f)
    if not isinstance(s, torch.Tensor) or not s.is_floating_point() or s.shape != x.shape[:2]:
        refuse("s", f"a floating-point tensor {list(x.shape[:2])}, one style per image and channel", s)
    check_beside("s", s, x, "[N, I]", 2)


def demodulation(energy: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    """Demodulation coefficients 1 / ‖w · s‖ (StyleGAN2, eq. 3).

    Args:
        energy: [O, I], the `weight_energy` of w.
        s: styles [N, I], in the dtype of `energy`.

    Returns:
        [N, O]; finite for styles of zeros too.
    """
    return inverse_norms(row_products(s.square(), energy))


def modulated_conv2d_grouped(
    x: torch.Tensor,
    w: torch.Tensor,
    s: torch.Tensor,
    f: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    demodulate: bool = True,
    weight_is_correlated: bool = True,
) -> torch.Tensor:
    """Reference twin of `modulated_conv2d`: one grouped convolution with per-sample weights."""
    if demodulate:
        w, s = prescaled(x, w, s)
    n, c, height, width = x.shape
    y = conv2d_resample(
        x.reshape(1, n * c, height, width),
        _per_sample(w, s, demodulate).reshape(-1, *w.shape[1:]).to(x.dtype),
        f,
        up,
        down,
        padding,
        weight_is_correlated,
        groups=n,
    )
    return y.reshape(n, -1, *y.shape[2:])


def _modulated_product(x: torch.Tensor, w: torch.Tensor, s: torch.Tensor, demodulate: bool) -> torch.Tensor:
    """A 1x1 convolution in one pass over x, instead of two if it were scaled first."""
    if demodulate:
        w, s = prescaled(x, w, s)
    per_sample = _per_sample(w, s, demodulate).flatten(2).to(x.dtype)  # [N, O, I]
    n, c, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, c)  # a view where x is channels_last
    return row_products(pixels, per_sample).reshape(n, height, width, -1).permute(0, 3, 1, 2)


def _per_sample(w: torch.Tensor, s: torch.Tensor, demodulate: bool) -> torch.Tensor:
    """Weights per sample: w [O, I, k, k], s [N, I] -> [N, O, I, k, k] (StyleGAN2, eqs. 1 and 3)."""
    per_sample = w[None] * s[:, None, :, None, None]
    if demodulate:
        per_sample = per_sample * demodulation(weight_energy(w), s)[:, :, None, None, None]
    return per_sample
