"""Scale, noise, bias and activation after a convolution, in one pass each for values and for gradients.

For training on a CPU, which spends more time on reading and writing activations than on computing them. Two
operations are closed under differentiation: scaling the channels of each sample, and the sums over pixels of
products by channel. The second derivatives of piecewise linear activations are zero.
"""

from typing import Any

import torch

from morphoscope.ops.activations import LINEAR, Activation
from morphoscope.ops.bias_act import bias_act_slopes, slope_known_from_output
from morphoscope.ops.cpu import scaled_bias_act as cpu
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.library import LIBRARY, define


def one_pass(x: torch.Tensor, activation: Activation = LINEAR) -> bool:
    """Whether `scaled_bias_act` computes it: channels last on a CPU, a piecewise linear activation."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and slope_known_from_output(activation)
        and native_runs("cpu", None)
    )


def scaled_bias_act(
    x: torch.Tensor,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
    activation: Activation,
) -> torch.Tensor:
    """y = clamp(gain · act(x · scale + noise + b)), where `one_pass`.

    Args:
        x: [N, C, H, W], channels last; float32 or float64.
        scale: [N, C]; None is 1.
        noise: [N or 1, H, W], or the same for all samples [H, W]; None adds nothing.
        b: [C]; None adds nothing.

    Returns:
        [N, C, H, W], in the dtype of x, channels last. Differentiable any number of times.
    """
    if noise is not None and noise.ndim == 2:
        noise = noise[None]
    scale, noise, b = (None if t is None else t.to(x.dtype) for t in (scale, noise, b))
    result: torch.Tensor = _scaled_bias_act(x, scale, noise, b, *activation)
    return result


def scale_channels(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """x [N, C, H, W] · scale [N, C], in the dtype of x; in one pass where there is one."""
    if one_pass(x):
        return scaled_bias_act(x, scale, None, None, LINEAR)
    return x * scale.to(x.dtype)[:, :, None, None]


def _fake(x: torch.Tensor, *_: Any) -> torch.Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


def _fake_gradients(
    u: torch.Tensor,
    x: torch.Tensor | None,
    y: torch.Tensor | None,
    scale: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
    sums: bool = True,
) -> tuple[torch.Tensor, ...]:
    return cpu.empty_gradients(u, x, sums)


def _fake_products(v: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return v.new_empty(v.shape[:2])


_scaled_bias_act = define(
    "scaled_bias_act(Tensor x, Tensor? scale, Tensor? noise, Tensor? b, str act, float alpha, float gain, "
    "float clamp) -> Tensor",
    _fake,
    cpu.scaled_bias_act,
)
# u, the gradient of y, and what the gradients need of x and y -> those of x, scale, noise [N, H, W] and b;
# without `sums` the last two are empty.
_gradients = define(
    "scaled_bias_act_gradients(Tensor u, Tensor? x, Tensor? y, Tensor? scale, str act, float alpha, "
    "float gain, float clamp, bool sums=True) -> (Tensor, Tensor, Tensor, Tensor)",
    _fake_gradients,
    cpu.scaled_bias_act_gradients,
)
# Σ over the pixels of v · x, [N, C, H, W] each -> [N, C].
_channel_products = define(
    "channel_products(Tensor v, Tensor x) -> Tensor", _fake_products, cpu.channel_products
)


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, scale, noise, _, *options = inputs
    ctx.activation = Activation(*options)
    ctx.noise_is_shared = noise is not None and len(noise) < len(x)
    # The slope is 1 everywhere for a plain scaling, whose result need not be kept.
    ctx.save_for_backward(
        x if ctx.needs_input_grad[1] else None, scale, None if ctx.activation == LINEAR else output
    )
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, u: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    if u is None:
        return (None,) * 8
    x, scale, y = ctx.saved_tensors
    if torch.is_grad_enabled():  # a second derivative may follow
        dx, dscale, dnoise, db = _differentiable_gradients(ctx, u, x, scale, y)
    else:
        sums = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
        dx, dscale, dnoise, db = _gradients(u, x, y, scale, *ctx.activation, sums)
    if dnoise is not None and ctx.noise_is_shared:
        dnoise = dnoise.sum(dim=0, keepdim=True)
    found = zip(ctx.needs_input_grad[:4], (dx, dscale, dnoise, db), strict=True)
    return (*(gradient if needed else None for needed, gradient in found), *(None,) * 4)


def _differentiable_gradients(
    ctx: Any, u: torch.Tensor, x: torch.Tensor | None, scale: torch.Tensor | None, y: torch.Tensor | None
) -> tuple[torch.Tensor | None, ...]:
    """What `_gradients` gives, for those that are needed, by operations that are differentiable again."""
    _, needs_scale, needs_noise, needs_b = ctx.needs_input_grad[:4]
    v = u if y is None else bias_act_slopes(u, y, ctx.activation)
    return (
        v if scale is None else scale_channels(v.contiguous(memory_format=torch.channels_last), scale),
        _channel_products(v, x) if needs_scale else None,
        v.sum(dim=1) if needs_noise else None,
        v.sum(dim=[0, 2, 3]) if needs_b else None,
    )


def _save_products(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate_products(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    return tuple(
        scale_channels(other.contiguous(memory_format=torch.channels_last), g) if needed else None
        for other, needed in zip(reversed(ctx.saved_tensors), ctx.needs_input_grad, strict=True)
    )


torch.library.register_autograd("morphoscope::scaled_bias_act", _backward, setup_context=_save, lib=LIBRARY)
torch.library.register_autograd(
    "morphoscope::channel_products", _differentiate_products, setup_context=_save_products, lib=LIBRARY
)
