"""From an operation's tensors to the params struct of its kernel, for the bindings of both devices.

Each function fills the struct and calls `run` with it. Tensors that the struct points to live until `run`
returns.
"""

from collections.abc import Callable

import torch

from morphoscope.ops.activations import Activation
from morphoscope.ops.filters import Resampling, resampled_size
from morphoscope.ops.library import empty_images
from morphoscope.ops.native.params import (
    ACTIVATION_CODES,
    SCALAR_TYPES,
    BiasActParams,
    Epilogue,
    GridSampleParams,
    Upfirdn2dParams,
    accumulation_dtype,
    address,
    four,
)

_HALVES = (torch.float16, torch.bfloat16)
_ALIGNMENT = 16  # bytes that kernels load at once


def with_bias_act(
    run: Callable[[BiasActParams], None],
    x: torch.Tensor,
    b: torch.Tensor | None,
    dim: int,
    activation: Activation,
    u: torch.Tensor | None = None,
    order: int = 0,
    from_output: bool = False,
) -> torch.Tensor:
    """bias_act or, with the gradient u, its derivative of `order` 1 or 2."""
    y = torch.empty_like(x)
    x = _in_order_of(y, x)
    u = None if u is None else _in_order_of(y, u)
    b = None if b is None else operand(b, x)
    run(
        BiasActParams(
            x=address(x),
            b=address(b),
            u=address(u),
            y=address(y),
            size=y.numel(),
            bias_size=1 if b is None else len(b),
            bias_step=1 if b is None else y.stride(dim),
            dtype=SCALAR_TYPES[x.dtype],
            activation=ACTIVATION_CODES[activation.act],
            order=order,
            from_output=from_output,
            alpha=activation.alpha,
            gain=activation.gain,
            clamp=_as_stored(activation.clamp, x.dtype),
        )
    )
    return y


def with_epilogue(
    run: Callable[[Epilogue], torch.Tensor],
    x: torch.Tensor,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
    activation: Activation,
) -> torch.Tensor:
    """The epilogue of x; noise is [N or 1, H', W'] or [H', W']."""
    scale, noise, b = (None if t is None else operand(t, x) for t in (scale, noise, b))
    per_sample = noise is not None and noise.ndim == 3 and len(noise) > 1
    return run(
        Epilogue(
            scale=address(scale),
            noise=address(noise),
            b=address(b),
            noise_stride=noise.stride(0) if noise is not None and per_sample else 0,
            activation=ACTIVATION_CODES[activation.act],
            alpha=activation.alpha,
            gain=activation.gain,
            clamp=activation.clamp,
        )
    )


def with_upfirdn2d(
    run: Callable[[Upfirdn2dParams], None],
    x: torch.Tensor,
    f: torch.Tensor,
    resampling: Resampling,
    epilogue: Epilogue | None = None,
) -> torch.Tensor:
    """upfirdn2d, with or without an epilogue."""
    up, down, padding, flip, gain = resampling
    y = empty_images(x, resampled_size(x.shape, f, resampling))
    f = operand(f, x)
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
    run(params)
    return y


def with_grid_sample(
    run: Callable[[GridSampleParams], None],
    images: torch.Tensor,
    samples: torch.Tensor,
    grid: torch.Tensor,
    transposed: bool,
) -> None:
    """grid_sample from images to samples or, if `transposed`, from samples to images."""
    x, y = (samples, images) if transposed else (images, samples)
    _same_device(grid, x)
    grid = grid.contiguous()
    run(
        GridSampleParams(
            x=address(x),
            grid=address(grid),
            y=address(y),
            dtype=SCALAR_TYPES[x.dtype],
            image_size=four(images.shape),
            image_stride=four(images.stride()),
            sample_size=(grid.shape[1], grid.shape[2]),
            sample_stride=four(samples.stride()),
        )
    )


def operand(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Convert a small operand to what kernels on x take: accumulation type, contiguous, aligned.

    Raises:
        ValueError: the operand is not on the device of x.
    """
    _same_device(t, x)
    t = t.to(accumulation_dtype(x.dtype)).contiguous()
    return t if t.data_ptr() % _ALIGNMENT == 0 else t.clone()


def _as_stored(clamp: float, dtype: torch.dtype) -> float:
    """The clamp, rounded to half types: a backward pass recognises by it which results reached the clamp."""
    return float(torch.tensor(clamp, dtype=dtype)) if dtype in _HALVES else clamp


def _in_order_of(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """x itself if it has the memory order of y, otherwise a copy that has it."""
    _same_device(x, y)
    return x if x.stride() == y.stride() else torch.empty_like(y).copy_(x)


def _same_device(t: torch.Tensor, x: torch.Tensor) -> None:
    if t.device != x.device:
        raise ValueError(
            f"One operand is on {t.device}, the other on {x.device}; move them to the same device."
        )
