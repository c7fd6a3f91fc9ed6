"""upfirdn2d, with or without what follows a convolution, on a CPU."""

from collections.abc import Sequence

import torch

from morphoscope.ops.filters import resampled_size
from morphoscope.ops.library import empty_images
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import (
    ACTIVATION_CODES,
    SCALAR_TYPES,
    Epilogue,
    Upfirdn2dParams,
    accumulation_dtype,
    address,
    four,
)


def upfirdn2d_cpu(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    gain: float,
) -> torch.Tensor:
    return _run(x, f, up, down, padding, flip, gain, None)


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
    dtype = accumulation_dtype(x.dtype)
    scale, noise, b = (None if t is None else t.to(dtype).contiguous() for t in (scale, noise, b))
    per_sample = noise is not None and noise.ndim == 3 and len(noise) > 1
    epilogue = Epilogue(
        scale=address(scale),
        noise=address(noise),
        b=address(b),
        noise_stride=noise.stride(0) if noise is not None and per_sample else 0,
        activation=ACTIVATION_CODES[act],
        alpha=alpha,
        gain=gain,
        clamp=clamp,
    )
    return _run(x, f, up, down, padding, flip, filter_gain, epilogue)


def _run(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    gain: float,
    epilogue: Epilogue | None,
) -> torch.Tensor:
    y = empty_images(x, resampled_size(x.shape, f, up, down, padding))
    f = f.to(accumulation_dtype(x.dtype)).contiguous()
    params = Upfirdn2dParams(
        x=address(x),
        f=address(f),
        y=address(y),
        dtype=SCALAR_TYPES[x.dtype],
        in_size=four(x.shape),
        in_stride=four(x.stride()),
        out_size=four(y.shape),
        out_stride=four(y.stride()),
        fw=f.shape[-1],
        fh=f.shape[0],
        separable=f.ndim == 1,
        flip=flip,
        up_x=up[0],
        up_y=up[1],
        down_x=down[0],
        down_y=down[1],
        pad_x0=padding[0],
        pad_y0=padding[2],
        gain=gain,
        has_epilogue=epilogue is not None,
    )
    if epilogue is not None:
        params.epilogue = epilogue
    cpu_library().call("upfirdn2d", params)
    return y
