"""A layer of the synthesis network: modulated 3x3 convolution, noise, bias and activation (spec 2)."""

from functools import partial
from typing import Any

import torch

from morphoscope.configs.arguments import refuse
from morphoscope.ops.activations import Activation, parse_activation
from morphoscope.ops.bias_act import bias_act
from morphoscope.ops.checks import check_beside
from morphoscope.ops.conv2d_resample import before_upsampling_filter, conv2d_resample
from morphoscope.ops.conv3x3 import supported
from morphoscope.ops.cpu import modulated_layer as cpu
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.epilogue import epilogue
from morphoscope.ops.library import define, differentiated
from morphoscope.ops.modulated_conv2d import check_modulated, demodulation, modulated_conv2d
from morphoscope.ops.modulation import prescaled, weight_energy
from morphoscope.ops.precision import bfloat16_chosen
from morphoscope.ops.scaled_bias_act import one_pass, scale_channels


def modulated_layer(
    x: torch.Tensor,
    w: torch.Tensor,
    s: torch.Tensor,
    f: torch.Tensor | None = None,
    up: int = 1,
    noise: torch.Tensor | None = None,
    b: torch.Tensor | None = None,
    act: str = "lrelu",
    gain: float | None = None,
    clamp: float | None = None,
) -> torch.Tensor:
    """`modulated_conv2d` with padding 1, plus noise, then `bias_act`; in one or two passes without gradients.

    Args:
        x: [N, I, H, W]; float32, float64, float16 or bfloat16.
        w: [O, I, 3, 3], correlated with x for up = 1 and convolved for up = 2, as in the published networks.
        s: styles [N, I].
        f: low-pass filter from `setup_filter` for up = 2.
        up: 1 or 2.
        noise: [N, 1, H·up, W·up] or [H·up, W·up], added to every channel; None adds nothing.
        b: [O]; None adds nothing.
        act, gain, clamp: as in `bias_act`.

    Returns:
        [N, O, H·up, W·up], in the dtype of x. Differentiable any number of times.

    Raises:
        UserError: arguments that `modulated_conv2d` or `bias_act` refuses, weights that are not 3x3, an `up`
            that is neither 1 nor 2, or noise whose shape does not fit.
    """
    activation = parse_activation(act, None, gain, clamp)
    _check(x, w, s, f, up, noise, b)
    inference = not differentiated(x, w, s, noise, b)
    if inference and _fused(x, w, f, up, act):
        # The kernel correlates, hence the flip. The gain up² makes up for inserted zeros (conv2d_resample).
        f = None if up == 1 else f.flip([0, 1]) * up**2  # type: ignore[union-attr]
        bfloat16 = bfloat16_chosen() if x.dtype == torch.float32 else None
        result: torch.Tensor = _modulated_layer(x, w, s, f, noise, b, *activation, bfloat16)
        return result
    # With one input channel, `modulated_conv2d` avoids differences of rounded sums in the gradient of s.
    trained_in_passes = one_pass(x, activation) and s.shape[1] > 1
    if native_runs(x.device.type, x.device.index) and (inference or trained_in_passes):
        return _in_two_passes(x, w, s, f, up, noise, b, activation)
    x = modulated_conv2d(x, w, s, f, up=up, padding=1, weight_is_correlated=up == 1)
    if noise is not None:
        x = x + noise.to(x.dtype)
    return bias_act(x, b, 1, *activation)


def _check(
    x: torch.Tensor,
    w: torch.Tensor,
    s: torch.Tensor,
    f: torch.Tensor | None,
    up: int,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
) -> None:
    check_modulated(x, w, s, f)
    if w.shape[2:] != (3, 3):
        refuse("w", "a tensor [O, I, 3, 3]", w)
    if not isinstance(up, int) or up not in (1, 2):
        refuse("up", "1 or 2", up)
    check_beside("b", b, x, "[O]", 1)
    if b is not None and b.shape != w.shape[:1]:
        refuse("b", f"a tensor [{w.shape[0]}], one per output channel", b)
    check_beside("noise", noise, x, "[N, 1, H·up, W·up] or [H·up, W·up]", 2, 4)
    if noise is not None:
        size = (x.shape[2] * up, x.shape[3] * up)
        if noise.shape[-2:] != size or (noise.ndim == 4 and noise.shape[:2] != (x.shape[0], 1)):
            refuse("noise", f"a tensor {[x.shape[0], 1, *size]} or {list(size)}", noise)


def _fused(x: torch.Tensor, w: torch.Tensor, f: torch.Tensor | None, up: int, act: str) -> bool:
    """Whether one kernel computes the layer, with its convolution, its filter and its activation."""
    filtered = up == 1 or (up == 2 and f is not None and f.shape == (4, 4))
    return filtered and act in ("linear", "relu", "lrelu") and supported(x, w, "same" if up == 1 else "up")


def _in_two_passes(
    x: torch.Tensor,
    w: torch.Tensor,
    s: torch.Tensor,
    f: torch.Tensor | None,
    up: int,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
    activation: Activation,
) -> torch.Tensor:
    """The convolution, scaled as in `modulated_conv2d`, and everything after it as one `epilogue`."""
    w, s = prescaled(x, w, s)
    scale = demodulation(weight_energy(w), s)
    x, w = scale_channels(x, s), w.to(x.dtype)
    if noise is not None and noise.ndim == 4:
        noise = noise.squeeze(1)
    act, alpha, gain, clamp = activation
    finish = partial(epilogue, b=b, scale=scale, noise=noise, act=act, alpha=alpha, gain=gain, clamp=clamp)
    if up == 1:
        return finish(conv2d_resample(x, w, padding=1))
    x, around = before_upsampling_filter(x, w, f, up, padding=1, weight_is_correlated=False)
    return finish(x, f=f, padding=around, filter_gain=up**2)


def _fake(
    x: torch.Tensor, w: torch.Tensor, s: torch.Tensor, f: torch.Tensor | None, *__: Any
) -> torch.Tensor:
    n, _, height, width = x.shape
    up = 1 if f is None else 2
    shape = [n, w.shape[0], height * up, width * up]
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


_modulated_layer = define(
    "modulated_layer(Tensor x, Tensor w, Tensor s, Tensor? f, Tensor? noise, Tensor? b, str act, "
    "float alpha, float gain, float clamp, int? bfloat16=None) -> Tensor",
    _fake,
    cpu.modulated_layer,
)
