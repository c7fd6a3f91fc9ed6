"""upfirdn2d, with or without an epilogue, on a CUDA device: the choice of the kernel."""

from collections.abc import Sequence

import torch

from morphoscope.ops.activations import Activation
from morphoscope.ops.cuda.launching import THREADS, launch, vector_size
from morphoscope.ops.filters import Resampling
from morphoscope.ops.native.arguments import with_epilogue, with_upfirdn2d
from morphoscope.ops.native.params import Epilogue, Upfirdn2dParams

_SEPARABLE_TAPS = 12
_WARP = 32
_PLANES_THREADS = 128
# Outputs [H, W] that a warp or block of these kernels computes at a time, by (up, down).
_PLANES_TILE = {(1, 1): (16, 32), (2, 1): (16, 32), (1, 2): (8, 32)}
_SEPARABLE_TILE = {(2, 1): (32, 64), (1, 2): (16, 32)}
_TILE_ROWS = 128  # more than the rows of any tile; offsets within a tile are 32-bit
_LONGEST_AXIS = 2**31 - 1


def upfirdn2d_cuda(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    gain: float,
) -> torch.Tensor:
    return _run(x, f, Resampling(up, down, padding, flip, gain), None)


def upfirdn2d_epilogue_cuda(
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
    return with_epilogue(lambda epilogue: _run(x, f, resampling, epilogue), x, scale, noise, b, activation)


def _run(x: torch.Tensor, f: torch.Tensor, resampling: Resampling, epilogue: Epilogue | None) -> torch.Tensor:
    if f.ndim == 1 and not _fused(x, f, resampling):  # two passes, as in the reference
        up, down, (x0, x1, y0, y1), flip, gain = resampling
        x = _run(x, f[None, :], Resampling((up[0], 1), (down[0], 1), (x0, x1, 0, 0), flip, 1.0), None)
        f, resampling = f[:, None], Resampling((1, up[1]), (1, down[1]), (0, 0, y0, y1), flip, gain)

    def run(params: Upfirdn2dParams) -> None:
        longest = max([*params.in_size, *params.out_size, *map(abs, resampling.padding)])
        factor = max(*resampling.up, *resampling.down)
        assert longest * factor <= _LONGEST_AXIS, "an axis is too long for 32-bit indices"
        _launch(params, x, f, resampling)

    return with_upfirdn2d(run, x, f, resampling, epilogue)


def _launch(p: Upfirdn2dParams, x: torch.Tensor, f: torch.Tensor, resampling: Resampling) -> None:
    up, down, padding = tuple(resampling.up), tuple(resampling.down), tuple(resampling.padding)
    n, c, h, w = p.out_size
    factors = (up[0], down[0])
    suffix = f"up{up[0]}_down{down[0]}"
    if f.ndim == 1:
        tiles = n * c * _tiles(h, w, _SEPARABLE_TILE[factors])
        launch(f"upfirdn2d_12taps_{suffix}", x, tiles * THREADS, p)
    elif f.shape == (4, 4) and _has_fast_kernel(x, resampling, _PLANES_TILE):
        if _in_channel_vectors(p, vector_size(x)):
            threads = n * (c // vector_size(x)) * _tiles(h, w, (2, 2))
            launch(f"upfirdn2d_4x4_channels_{suffix}", x, threads, p)
        else:
            threads = n * c * _tiles(h, w, _PLANES_TILE[factors]) * _WARP
            launch(f"upfirdn2d_4x4_planes_{suffix}", x, threads, p, _PLANES_THREADS)
    elif f.numel() == 1 and (up, down, padding) == ((1, 1), (1, 1), (0, 0, 0, 0)) and _same_memory(p):
        order = "channels" if p.out_stride[1] == 1 else "planes"
        launch(f"epilogue_{order}", x, n * c * h * w, p)
    else:
        launch("upfirdn2d", x, n * c * h * w, p)


def _fused(x: torch.Tensor, f: torch.Tensor, resampling: Resampling) -> bool:
    """Whether one kernel computes both passes of a separable filter."""
    return len(f) == _SEPARABLE_TAPS and _has_fast_kernel(x, resampling, _SEPARABLE_TILE)


def _has_fast_kernel(
    x: torch.Tensor, resampling: Resampling, tiles: dict[tuple[int, int], tuple[int, int]]
) -> bool:
    """Whether `tiles` has these factors. float64 and rows too long for 32-bit offsets have no fast kernel."""
    up, down = resampling.up, resampling.down
    square = up[0] == up[1] and down[0] == down[1] and (up[0], down[0]) in tiles
    near = max(x.stride(2), x.stride(3)) * _TILE_ROWS <= _LONGEST_AXIS
    return square and near and x.dtype != torch.float64


def _in_channel_vectors(p: Upfirdn2dParams, size: int) -> bool:
    """Whether neighbouring channels are contiguous in x and y, in aligned groups of `size`."""
    together = p.in_stride[1] == 1 and p.out_stride[1] == 1 and p.in_size[1] % size == 0
    apart = [*p.in_stride, *p.out_stride]
    aligned = all(stride % size == 0 for axis, stride in enumerate(apart) if axis % 4 != 1)
    return together and aligned and (p.x or 0) % 16 == 0


def _same_memory(p: Upfirdn2dParams) -> bool:
    """Whether x has the same memory order as y, which is dense."""
    strides = zip(p.out_size, p.in_stride, p.out_stride, strict=True)
    return all(x == y for size, x, y in strides if size > 1)


def _tiles(h: int, w: int, tile: tuple[int, int]) -> int:
    return -(-h // tile[0]) * -(-w // tile[1])
