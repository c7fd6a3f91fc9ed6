"""upfirdn2d, with or without an epilogue, on a CPU."""

from collections.abc import Sequence

import torch

from morphoscope.ops.activations import Activation
from morphoscope.ops.filters import Resampling
from morphoscope.ops.native.arguments import with_epilogue, with_upfirdn2d
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import Upfirdn2dParams


def upfirdn2d_cpu(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    gain: float,
) -> torch.Tensor:
    return with_upfirdn2d(_call, x, f, Resampling(up, down, padding, flip, gain))


def upfirdn2d_epilogue_cpu(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    filter_gain: float,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
) -> torch.Tensor:
    resampling = Resampling(up, down, padding, flip, filter_gain)
    activation = Activation(act, alpha, gain, clamp)
    return with_epilogue(
        lambda epilogue: with_upfirdn2d(_call, x, f, resampling, epilogue), x, scale, noise, b, activation
    )


def _call(params: Upfirdn2dParams) -> None:
    cpu_library().call("upfirdn2d", params)
