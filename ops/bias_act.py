"""Bias, activation, gain and clamp in one call (spec 1)."""

from typing import Any

import torch
import torch.nn.functional as F

from morphoscope.configs import UserError
from morphoscope.configs.arguments import refuse
from morphoscope.ops.activations import ACTIVATIONS, LINEAR, Activation, parse_activation
from morphoscope.ops.checks import check_beside, check_floating
from morphoscope.ops.cpu.bias_act import bias_act_cpu, bias_act_derivative_cpu
from morphoscope.ops.cuda.bias_act import bias_act_cuda, bias_act_derivative_cuda
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.library import LIBRARY, define
from morphoscope.ops.precision import own_precision

_PIECEWISE_LINEAR = ("linear", "relu", "lrelu")
_HIGHEST_NATIVE_ORDER = 2


def bias_act(
    x: torch.Tensor,
    b: torch.Tensor | None = None,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
) -> torch.Tensor:
    """y = clamp(gain · act(x + b)), differentiable any number of times.

    Args:
        x: any shape; float32, float64, float16 or bfloat16.
        b: [x.shape[dim]], any floating-point dtype, added along `dim`; None adds nothing.
        dim: the axis of x along which the bias runs; negative values count from the last axis.
        act: a key of `ACTIVATIONS`: linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus or swish.
        alpha: slope of lrelu for negative values; None is the default of the activation, 0.2 for lrelu.
        gain: factor of the result; None is the default of the activation: √2 for relu, lrelu and swish,
            otherwise 1.
        clamp: the result is limited to ±clamp, and no gradient passes where the limit is reached; None or a
            negative value is no limit.

    Returns:
        The shape, dtype and memory order of x.

    Raises:
        UserError: an unknown activation, a bias whose shape does not fit, or an x of another type or dtype.
    """
    activation = parse_activation(act, alpha, gain, clamp)
    dim = parse_operands(x, b, dim)
    if native_runs(x.device.type, x.device.index):
        return _bias_act(x, b, dim, *activation)
    with own_precision(x):
        return bias_act_reference(x, b, dim, activation)


def bias_act_reference(
    x: torch.Tensor, b: torch.Tensor | None, dim: int, activation: Activation
) -> torch.Tensor:
    """Reference twin of `bias_act` in plain torch, with every option given."""
    act, alpha, gain, clamp = activation
    if b is not None:
        x = x + b.to(x.dtype).reshape([-1 if axis == dim else 1 for axis in range(x.ndim)])
    y = ACTIVATIONS[act].function(x, alpha)
    if gain != 1:
        y = y * gain
    if clamp >= 0:
        y = F.hardtanh(y, -clamp, clamp)  # unlike torch.clamp, passes no gradient at the bound itself
    return y


def parse_operands(x: torch.Tensor, b: torch.Tensor | None, dim: int) -> int:
    """Check the tensors of `bias_act`, and return `dim` counted from the first axis.

    Raises:
        UserError: no tensor, a dtype without kernels, or a bias whose shape does not fit.
    """
    check_floating("x", x)
    if not isinstance(dim, int):
        refuse("dim", "a whole number", dim)
    if b is not None:
        check_beside("b", b, x, "[x.shape[dim]]", 1)
        if not -x.ndim <= dim < x.ndim:
            raise UserError(f"dim is {dim}; x has {x.ndim} axes.")
        if b.shape != (x.shape[dim],):
            raise UserError(f"The bias has shape {tuple(b.shape)}; axis {dim} of x needs ({x.shape[dim]},).")
        dim %= x.ndim
    return dim


def _fake(x: torch.Tensor, *_: Any) -> torch.Tensor:
    return torch.empty_like(x)


def _fake_derivative(u: torch.Tensor, x: torch.Tensor, *_: Any) -> torch.Tensor:
    return torch.empty_like(x)


# A negative clamp is no limit.
_bias_act = define(
    "bias_act(Tensor x, Tensor? b, int dim, str act, float alpha, float gain, float clamp) -> Tensor",
    fake=_fake,
    cpu=bias_act_cpu,
    cuda=bias_act_cuda,
)

# u · gain · (derivative of act of order 1 or 2 at x + b); 0 where the clamp is reached. With from_output, x
# is the result of bias_act, and b is not needed; possible for the piecewise linear activations only.
_bias_act_derivative = define(
    "bias_act_derivative(Tensor u, Tensor x, Tensor? b, int dim, str act, float alpha, float gain, "
    "float clamp, int order, bool from_output) -> Tensor",
    fake=_fake_derivative,
    cpu=bias_act_derivative_cpu,
    cuda=bias_act_derivative_cuda,
)


def slope_known_from_output(activation: Activation) -> bool:
    """Whether the sign of the result determines the slope, so that the backward pass does not need x."""
    return activation.act in _PIECEWISE_LINEAR and activation.alpha >= 0 and activation.gain > 0


def bias_act_slopes(u: torch.Tensor, y: torch.Tensor, activation: Activation) -> torch.Tensor:
    """Gradient of x + b for the gradient u of the result y, where `slope_known_from_output`; in u's shape."""
    result: torch.Tensor = _bias_act_derivative(u, y, None, 1, *activation, 1, True)
    return result


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, b, ctx.dim, *options = inputs
    ctx.activation = Activation(*options)
    ctx.bias_dtype = None if b is None else b.dtype
    ctx.from_output = slope_known_from_output(ctx.activation)
    ctx.save_for_backward(*((output, None) if ctx.from_output else (x, b)))
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, u: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    if u is None:
        return (None,) * 7
    x, b = ctx.saved_tensors
    dx = _bias_act_derivative(u, x, b, ctx.dim, *ctx.activation, 1, ctx.from_output)
    db = _bias_gradient(dx, ctx.dim, ctx.bias_dtype) if ctx.needs_input_grad[1] else None
    return (dx, db, *(None,) * 5)


def _save_derivative(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    u, x, b, ctx.dim, *options, ctx.order, ctx.from_output = inputs
    ctx.activation = Activation(*options)
    ctx.save_for_backward(u, x, b)
    ctx.set_materialize_grads(False)


def _backward_derivative(ctx: Any, g: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    if g is None:
        return (None,) * 10
    u, x, b = ctx.saved_tensors
    du = dx = db = None
    if ctx.needs_input_grad[0]:
        du = _bias_act_derivative(g, x, b, ctx.dim, *ctx.activation, ctx.order, ctx.from_output)
    curved = ctx.activation.act not in _PIECEWISE_LINEAR  # otherwise the next derivative is exactly zero
    if curved and (ctx.needs_input_grad[1] or ctx.needs_input_grad[2]):
        if ctx.order < _HIGHEST_NATIVE_ORDER:
            dx = _bias_act_derivative(u * g, x, b, ctx.dim, *ctx.activation, ctx.order + 1, False)
        else:
            dx = u * g * _derivative_by_autograd(ctx.order + 1, x, b, ctx.dim, ctx.activation)
        if ctx.needs_input_grad[2]:
            db = _bias_gradient(dx, ctx.dim, b.dtype)
    return (du, dx, db, *(None,) * 7)


def _bias_gradient(dx: torch.Tensor, dim: int, dtype: torch.dtype) -> torch.Tensor:
    others = [axis for axis in range(dx.ndim) if axis != dim]
    return dx.sum(others, dtype=dtype) if others else dx.to(dtype)  # torch sums over all axes if given none


def _derivative_by_autograd(
    order: int, x: torch.Tensor, b: torch.Tensor | None, dim: int, activation: Activation
) -> torch.Tensor:
    """A derivative of the reference twin, of any order; differentiable again."""
    with torch.enable_grad():
        x = bias_act_reference(x, b, dim, LINEAR)
        if not x.requires_grad:
            x = x.detach().requires_grad_()
        y = bias_act_reference(x, None, dim, activation)
        for _ in range(order):
            (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return y


torch.library.register_autograd("morphoscope::bias_act", _backward, setup_context=_save, lib=LIBRARY)
torch.library.register_autograd(
    "morphoscope::bias_act_derivative", _backward_derivative, setup_context=_save_derivative, lib=LIBRARY
)
