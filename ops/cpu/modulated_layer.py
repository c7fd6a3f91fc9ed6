"""The fused kernel of `ops.modulated_layer` on a CPU, and its cache of packed weights."""

from functools import partial
from typing import NamedTuple

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from morphoscope.ops.activations import Activation
from morphoscope.ops.cpu import conv3x3
from morphoscope.ops.cpu.row_products import row_products
from morphoscope.ops.modulation import inverse_norms, weight_energy
from morphoscope.ops.native.arguments import with_epilogue
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import ChecksumParams


def modulated_layer(
    x: torch.Tensor,
    w: torch.Tensor,
    s: torch.Tensor,
    f: torch.Tensor | None,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
    bfloat16: int | None = None,
) -> torch.Tensor:
    """x [N, I, H, W], w [O, I, 3, 3], s [N, I] -> [N, O, H, W], or [N, O, 2H, 2W] with f [4, 4].

    `bfloat16` is None, or a value of `Instructions` that multiply in bfloat16.
    """
    kept = _kept(w, x, "same" if f is None else "up", bfloat16)
    s = s.to(x.dtype).contiguous()
    with torch.autocast("cpu", enabled=False):
        scale = inverse_norms(row_products(s.square()[None], kept.energy)[0])
    if noise is not None and noise.ndim == 4:
        noise = noise.squeeze(1)
    f = None if f is None else f.to(x.dtype).contiguous()
    run = partial(conv3x3.run, x, kept.packed, s, f, bfloat16=bfloat16)
    return with_epilogue(run, x, scale, noise, b, Activation(act, alpha, gain, clamp))


class _Kept(NamedTuple):
    """What depends on the weights alone, and the `state` by which a change of the weights is noticed."""

    packed: conv3x3.Packed
    energy: torch.Tensor
    state: tuple[object, ...]


_kept_weights = WeakTensorKeyDictionary()


def _kept(w: torch.Tensor, x: torch.Tensor, mode: str, bfloat16: int | None) -> _Kept:
    """Packed weights of w, packed again when w has changed; they live as long as w.

    The state contains a checksum of all values, because torch does not count changes through `.data`, through
    a NumPy array that shares the memory, or in inference mode. It takes 1% of the time of a 256 px image (4%
    at 64 px); packing the weights every time would double the time.
    """
    weights = conv3x3.Weights(w.detach(), False, mode)
    # By the size of one image, so that it is the same image alone and in a batch.
    algorithm = conv3x3.algorithm_for(x.shape[2] * x.shape[3], weights, bfloat16)
    checksum = _checksum(w)
    state = (algorithm, w.dtype, w.shape, w.stride(), checksum)
    kept: _Kept | None = _kept_weights.get(w)
    if checksum is None or kept is None or kept.state != state:
        kept = _Kept(conv3x3.pack(weights, algorithm), weight_energy(weights.tensor), state)
        _kept_weights[w] = kept
    return kept


def _checksum(w: torch.Tensor) -> int | None:
    """Checksum of the memory of w; None if its elements are not adjacent (they are then packed each time)."""
    if not (w.is_contiguous() or w.is_contiguous(memory_format=torch.channels_last)):
        return None
    params = ChecksumParams(data=w.data_ptr(), bytes=w.numel() * w.element_size())
    cpu_library().call("memory_checksum", params)
    return params.checksum
