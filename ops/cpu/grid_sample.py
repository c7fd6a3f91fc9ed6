"""grid_sample and its transpose on a CPU."""

import torch

from morphoscope.ops.library import empty_images
from morphoscope.ops.native.arguments import with_grid_sample
from morphoscope.ops.native.cpu_library import cpu_library


def grid_sample_cpu(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    n, c = images.shape[:2]
    h, w = grid.shape[1:3]
    samples = empty_images(images, (n, c, h, w))
    with_grid_sample(
        lambda params: cpu_library().call("grid_sample", params), images, samples, grid, transposed=False
    )
    return samples


def grid_sample_transposed_cpu(u: torch.Tensor, grid: torch.Tensor, height: int, width: int) -> torch.Tensor:
    n, c = u.shape[:2]
    images = empty_images(u, (n, c, height, width))
    with_grid_sample(
        lambda params: cpu_library().call("grid_sample_transposed", params), images, u, grid, transposed=True
    )
    return images
