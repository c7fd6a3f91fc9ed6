"""Bilinear sampling of images at arbitrary positions, differentiable twice (spec 1).

R1 differentiates the discriminator's gradient with respect to real images, and that gradient passes through
the augmentation. Sampling is linear in the image, so that the gradient of the gradient is again a sampling.
"""

from typing import Any

import torch
import torch.nn.functional as F

from morphoscope.configs import UserError
from morphoscope.configs.arguments import refuse
from morphoscope.ops.checks import check_beside, check_images
from morphoscope.ops.cpu.grid_sample import grid_sample_cpu, grid_sample_transposed_cpu
from morphoscope.ops.cuda.grid_sample import grid_sample_cuda, grid_sample_transposed_cuda
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.library import LIBRARY, define, empty_images
from morphoscope.ops.precision import own_precision

# Codes of ATen's enums for interpolation and padding.
_BILINEAR = 0
_ZEROS = 0


def grid_sample(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample images bilinearly, with zeros outside them (torch's `align_corners=False`).

    Differentiable any number of times with respect to `images`, but not with respect to `grid`, because the
    augmentation draws positions at random.

    Args:
        images: [N, C, H, W]; float32, float64, float16 or bfloat16.
        grid: positions [N, h, w, 2] in the same dtype: (x, y), where -1 and 1 are the outer edges of the
            border pixels.

    Returns:
        [N, C, h, w], in the dtype and memory order of the images.

    Raises:
        UserError: shapes or dtypes that do not fit together, or a grid that requires a gradient.
    """
    _check(images, grid)
    if native_runs(images.device.type, images.device.index):
        return _grid_sample(images, grid)
    with own_precision(images):
        return grid_sample_reference(images, grid)


def grid_sample_reference(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Reference twin of `grid_sample`: torch's own sampling, with a gradient of the gradient added."""
    result: torch.Tensor = _TorchGridSample.apply(images, grid)
    return result


def _check(images: torch.Tensor, grid: torch.Tensor) -> None:
    check_images("images", images)
    check_beside("grid", grid, images, "[N, h, w, 2]", 4)
    if grid is None or grid.shape[3] != 2 or grid.shape[0] != images.shape[0]:
        refuse("grid", f"a tensor [{images.shape[0]}, h, w, 2]", grid)
    if grid.dtype != images.dtype:
        raise UserError(f"images and grid are {images.dtype} and {grid.dtype}; both must be the same.")
    if grid.requires_grad:
        raise UserError("grid_sample has no gradient with respect to the grid; detach it.")


def _fake(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return empty_images(images, (images.shape[0], images.shape[1], grid.shape[1], grid.shape[2]))


def _fake_transposed(u: torch.Tensor, grid: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return empty_images(u, (u.shape[0], u.shape[1], height, width))


_grid_sample = define(
    "grid_sample(Tensor images, Tensor grid) -> Tensor",
    fake=_fake,
    cpu=grid_sample_cpu,
    cuda=grid_sample_cuda,
)

# Distributes u [N, C, h, w] over images [N, C, height, width].
_grid_sample_transposed = define(
    "grid_sample_transposed(Tensor u, Tensor grid, SymInt height, SymInt width) -> Tensor",
    fake=_fake_transposed,
    cpu=grid_sample_transposed_cpu,
    cuda=grid_sample_transposed_cuda,
)


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    images, grid = inputs
    ctx.size = images.shape[2:]
    ctx.save_for_backward(grid)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, u: torch.Tensor | None) -> tuple[torch.Tensor | None, None]:
    if u is None:
        return None, None
    (grid,) = ctx.saved_tensors
    return _grid_sample_transposed(u, grid, *ctx.size), None


def _save_transposed(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.set_materialize_grads(False)


def _backward_transposed(ctx: Any, g: torch.Tensor | None) -> tuple[torch.Tensor | None, None, None, None]:
    if g is None:
        return None, None, None, None
    (grid,) = ctx.saved_tensors
    return _grid_sample(g, grid), None, None, None


torch.library.register_autograd("morphoscope::grid_sample", _backward, setup_context=_save, lib=LIBRARY)
torch.library.register_autograd(
    "morphoscope::grid_sample_transposed", _backward_transposed, setup_context=_save_transposed, lib=LIBRARY
)


class _TorchGridSample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _TorchGridSampleTransposed.apply(gradient, grid, ctx.shape), None


class _TorchGridSampleTransposed(torch.autograd.Function):
    """Gradient with respect to the images: distributes [N, C, h, w] over [N, C, H, W]."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, grid: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        ctx.save_for_backward(grid)
        # Sampling is linear in the images, so that their values do not matter: a single zero is expanded.
        images = gradient.new_zeros(()).expand(shape)
        spread: torch.Tensor = torch.ops.aten.grid_sampler_2d_backward(
            gradient, images, grid, _BILINEAR, _ZEROS, False, [True, False]
        )[0]
        return spread

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return grid_sample_reference(gradient, grid), None, None
