"""Bilinear sampling of images at free positions, with a gradient of its gradient (spec 1).

R1 differentiates the discriminator's gradient with respect to real images, and that gradient passes through
the augmentation. Sampling is linear in the image, so the gradient of the gradient is sampling once more.
"""

from typing import Any

import torch
import torch.nn.functional as F

# Codes of ATen's enums for interpolation and padding.
_BILINEAR = 0
_ZEROS = 0


def grid_sample(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample images bilinearly; zero outside them; align_corners False.

    Differentiable any number of times with respect to `images`, not at all with respect to `grid`: the
    augmentation draws its positions at random, nothing learns them.

    Args:
        images: [N, C, H, W], floating.
        grid: [N, h, w, 2], the same dtype; (x, y) with -1 and 1 at the outer edges of the border pixels.

    Returns:
        [N, C, h, w].

    Raises:
        ValueError: shapes that do not belong together, or a grid that asks for a gradient.
    """
    _check(images, grid)
    result: torch.Tensor = _GridSample.apply(images, grid)
    return result


def grid_sample_reference(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Slow twin of `grid_sample` in plain indexing: what it must compute, for tests."""
    _check(images, grid)
    n, c, h, w = images.shape
    x = ((grid[..., 0] + 1) * w - 1) / 2
    y = ((grid[..., 1] + 1) * h - 1) / 2
    flat = images.reshape(n, c, h * w)
    result = images.new_zeros(n, c, *grid.shape[1:3])
    for column, weight_x in ((x.floor(), 1 - (x - x.floor())), (x.floor() + 1, (x - x.floor()))):
        for row, weight_y in ((y.floor(), 1 - (y - y.floor())), (y.floor() + 1, (y - y.floor()))):
            inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
            index = (row.clamp(0, h - 1) * w + column.clamp(0, w - 1)).long()
            values = flat.gather(2, index.reshape(n, 1, -1).expand(-1, c, -1)).reshape(result.shape)
            result = result + values * (weight_x * weight_y * inside)[:, None]
    return result


def _check(images: torch.Tensor, grid: torch.Tensor) -> None:
    if images.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] != images.shape[0]:
        raise ValueError(
            f"grid_sample takes images [N, C, H, W] and a grid [N, h, w, 2], "
            f"not {tuple(images.shape)} and {tuple(grid.shape)}."
        )
    if grid.requires_grad:
        raise ValueError("grid_sample has no gradient with respect to the grid; detach it.")


class _GridSample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _GridSampleTransposed.apply(gradient, grid, ctx.shape), None


class _GridSampleTransposed(torch.autograd.Function):
    """Gradient of `grid_sample` with respect to the images: spreads [N, C, h, w] back over [N, C, H, W]."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, grid: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        ctx.save_for_backward(grid)
        # The values of the images do not matter, because sampling is linear in them: one zero stands for all.
        images = gradient.new_zeros(()).expand(shape)
        spread: torch.Tensor = torch.ops.aten.grid_sampler_2d_backward(
            gradient, images, grid, _BILINEAR, _ZEROS, False, [True, False]
        )[0]
        return spread

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return grid_sample(gradient, grid), None, None
