"""grid_sample and its transpose on a CPU."""

import torch

from morphoscope.ops.library import empty_images
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import SCALAR_TYPES, GridSampleParams, address, four


def grid_sample_cpu(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    h, w = grid.shape[1:3]
    samples = empty_images(images, (images.shape[0], images.shape[1], h, w))
    _run("grid_sample", images, samples, images, grid, samples)
    return samples


def grid_sample_transposed_cpu(u: torch.Tensor, grid: torch.Tensor, height: int, width: int) -> torch.Tensor:
    images = empty_images(u, (u.shape[0], u.shape[1], height, width))
    _run("grid_sample_transposed", images, u, u, grid, images)
    return images


def _run(
    name: str,
    images: torch.Tensor,
    samples: torch.Tensor,
    x: torch.Tensor,
    grid: torch.Tensor,
    y: torch.Tensor,
) -> None:
    grid = grid.contiguous()
    params = GridSampleParams(
        x=address(x),
        grid=address(grid),
        y=address(y),
        dtype=SCALAR_TYPES[x.dtype],
        image_size=four(images.shape),
        image_stride=four(images.stride()),
        sample_size=(grid.shape[1], grid.shape[2]),
        sample_stride=four(samples.stride()),
    )
    cpu_library().call(name, params)
