"""The epilogue of a convolution in few passes: resample, scale, add noise and bias, activate, clamp.

One pass in inference, where nothing is kept for a backward pass; in training on a CPU, the resampling and
`ops.scaled_bias_act`. The scale is the demodulation of StyleGAN2's layers (section 2.2 of the paper).
"""

import torch

from morphoscope.configs import UserError
from morphoscope.ops.activations import Activation, parse_activation
from morphoscope.ops.bias_act import bias_act, parse_operands
from morphoscope.ops.checks import check_beside
from morphoscope.ops.cpu.upfirdn2d import upfirdn2d_epilogue_cpu
from morphoscope.ops.cuda.upfirdn2d import upfirdn2d_epilogue_cuda
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.filters import NO_RESAMPLING, Factor, Padding, Resampling, resampled_size
from morphoscope.ops.library import define, differentiated
from morphoscope.ops.scaled_bias_act import one_pass, scaled_bias_act
from morphoscope.ops.upfirdn2d import fake_upfirdn2d, parse_upfirdn2d, upfirdn2d


def epilogue(
    x: torch.Tensor,
    b: torch.Tensor | None = None,
    *,
    scale: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    f: torch.Tensor | None = None,
    up: Factor = 1,
    down: Factor = 1,
    padding: Padding = 0,
    flip_filter: bool = False,
    filter_gain: float = 1.0,
) -> torch.Tensor:
    """y = clamp(gain · act(upfirdn2d(x) · scale + noise + b)), in one pass where no gradient is required.

    Args:
        x: [N, C, H, W]; float32, float64, float16 or bfloat16.
        b: [C]; None adds nothing.
        scale: [N, C]; None is 1.
        noise: [N, H', W'] or, the same for all samples, [H', W'] or [1, H', W'], where H' x W' is the size of
            the result; None adds nothing.
        act, alpha, gain, clamp: as in `bias_act`.
        f, up, down, padding, flip_filter, filter_gain: as in `upfirdn2d`; by default nothing is resampled.

    Returns:
        [N, C, H', W'], in the dtype and memory order of x. Differentiable any number of times.

    Raises:
        UserError: arguments that `upfirdn2d` or `bias_act` refuses, or a scale or noise whose shape does not
            fit.
    """
    activation = parse_activation(act, alpha, gain, clamp)
    resampling = parse_upfirdn2d(x, f, up, down, padding, flip_filter, filter_gain)
    parse_operands(x, b, 1)
    check_beside("scale", scale, x, "[N, C]", 2)
    check_beside("noise", noise, x, "[N, H', W'] or [H', W']", 2, 3)
    n, c, *size = resampled_size(x.shape, f, resampling)
    if scale is not None and scale.shape != (n, c):
        raise UserError(f"The scale has shape {tuple(scale.shape)}; x needs ({n}, {c}).")
    if noise is not None and tuple(noise.shape) not in ((*size,), (1, *size), (n, *size)):
        raise UserError(f"The noise has shape {tuple(noise.shape)}; the result needs {(n, *size)}.")
    if differentiated(x, f, scale, noise, b) or not native_runs(x.device.type, x.device.index):
        return epilogue_reference(x, f, resampling, scale, noise, b, activation)
    f = torch.ones([1, 1], device=x.device) if f is None else f
    return _upfirdn2d_epilogue(x, f, *resampling, scale, noise, b, *activation)


def epilogue_reference(
    x: torch.Tensor,
    f: torch.Tensor | None,
    resampling: Resampling,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
    activation: Activation,
) -> torch.Tensor:
    """Reference twin of `epilogue`: its steps, each in the implementation that the dispatch chooses."""
    if f is not None or resampling != NO_RESAMPLING:
        x = upfirdn2d(x, f, *resampling)
    if one_pass(x, activation):
        return scaled_bias_act(x, scale, noise, b, activation)
    if scale is not None:
        x = x * scale.to(x.dtype)[:, :, None, None]
    if noise is not None:
        x = x + noise.to(x.dtype).unsqueeze(-3)
    return bias_act(x, b, 1, *activation)


# For inference: no gradient. The noise is [N or 1, H', W'] or [H', W'].
_upfirdn2d_epilogue = define(
    "upfirdn2d_epilogue(Tensor x, Tensor f, int[2] up, int[2] down, SymInt[4] padding, bool flip, "
    "float filter_gain, Tensor? scale, Tensor? noise, Tensor? b, str act, float alpha, float gain, "
    "float clamp) -> Tensor",
    fake=fake_upfirdn2d,
    cpu=upfirdn2d_epilogue_cpu,
    cuda=upfirdn2d_epilogue_cuda,
)
