"""grid_sample and its transpose on a CUDA device."""

import torch

from morphoscope.ops.cuda.launching import launch
from morphoscope.ops.library import empty_images
from morphoscope.ops.native.arguments import with_grid_sample
from morphoscope.ops.native.params import accumulation_dtype


def grid_sample_cuda(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    n, c = images.shape[:2]
    h, w = grid.shape[1:3]
    samples = empty_images(images, (n, c, h, w))
    with_grid_sample(
        lambda params: launch("grid_sample", images, n * h * w, params),
        images,
        samples,
        grid,
        transposed=False,
    )
    return samples


def grid_sample_transposed_cuda(u: torch.Tensor, grid: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Gradient of `grid_sample` with respect to the images.

    Each sample is added to its pixels by atomic operations, whose order differs from run to run. The results
    of identical calls therefore agree only up to rounding. Half precision is summed in float32.
    """
    n, c, h, w = u.shape
    images = empty_images(u, (n, c, height, width))
    sums = torch.zeros_like(images, dtype=accumulation_dtype(u.dtype))
    with_grid_sample(
        lambda params: launch("grid_sample_transposed", u, n * h * w, params), sums, u, grid, transposed=True
    )
    return sums.to(u.dtype)
