"""The kernels of `ops.scaled_bias_act` on a CPU; images are float32 or float64, channels last."""

import torch

from morphoscope.ops.activations import Activation
from morphoscope.ops.native.arguments import with_epilogue
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import SCALAR_TYPES, Epilogue, ScaledBiasActParams, address


def scaled_bias_act(
    x: torch.Tensor,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
) -> torch.Tensor:
    """x [N, C, H, W], scale [N, C], noise [N or 1, H, W], b [C] -> [N, C, H, W]."""
    x = _channels_last(x)

    def run(epilogue: Epilogue) -> torch.Tensor:
        y = torch.empty_like(x)
        params = ScaledBiasActParams(x=address(x), y=address(y), **_sizes(x), epilogue=epilogue)
        cpu_library().call("scaled_bias_act", params)
        return y

    return with_epilogue(run, x, scale, noise, b, Activation(act, alpha, gain, clamp))


def scaled_bias_act_gradients(
    u: torch.Tensor,
    x: torch.Tensor | None,
    y: torch.Tensor | None,
    scale: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
    sums: bool = True,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of x, scale, noise [N, H, W] and b, for u, the gradient of y.

    Without x that of scale is empty, without `sums` those of noise and b; without y the slope of the
    activation is 1.
    """
    u = _channels_last(u)
    x, y = (None if t is None else _channels_last(t) for t in (x, y))
    dx, dscale, dnoise, db = empty_gradients(u, x, sums)

    def run(epilogue: Epilogue) -> torch.Tensor:
        params = ScaledBiasActParams(
            x=address(x),
            u=address(u),
            y=address(y),
            dx=address(dx),
            dscale=None if x is None else address(dscale),
            dnoise=address(dnoise) if sums else None,
            db=address(db) if sums else None,
            **_sizes(u),
            epilogue=epilogue,
        )
        cpu_library().call("scaled_bias_act_gradients", params)
        return dx

    with_epilogue(run, u, scale, None, None, Activation(act, alpha, gain, clamp))
    return dx, dscale, dnoise, db


def empty_gradients(
    u: torch.Tensor, x: torch.Tensor | None, sums: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Uninitialised results of `scaled_bias_act_gradients`."""
    n, c, height, width = u.shape
    dx = torch.empty_like(u, memory_format=torch.channels_last)
    dscale = u.new_empty([0 if x is None else n, c])
    return dx, dscale, u.new_empty([n if sums else 0, height, width]), u.new_empty([c if sums else 0])


def channel_products(v: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Sums over the pixels of v · x, both [N, C, H, W] -> [N, C]."""
    v, x = _channels_last(v), _channels_last(x)
    dscale = v.new_empty(v.shape[:2])
    params = ScaledBiasActParams(x=address(x), u=address(v), dscale=address(dscale), **_sizes(v))
    cpu_library().call("scaled_bias_act_gradients", params)
    return dscale


def _channels_last(images: torch.Tensor) -> torch.Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _sizes(images: torch.Tensor) -> dict[str, int]:
    n, c, height, width = images.shape
    return {"dtype": SCALAR_TYPES[images.dtype], "n": n, "pixels": height * width, "c": c}
