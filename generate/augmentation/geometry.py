"""Blitting and geometric operations of the augmentation: one matrix and one resampling per image (spec 3).

Matrices are homogeneous [N, 3, 3], map output pixels to input pixels, and have the origin at the image's
centre. Nothing is copied to a GPU or read from it, so that a CUDA graph can record everything.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F

from morphoscope.generate.augmentation.strengths import Probability, Strengths
from morphoscope.ops.grid_sample import grid_sample
from morphoscope.ops.upfirdn2d import downsample2d, upsample2d

GEOMETRY_OPERATIONS = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")

XINT_HALF_RANGE = 0.125  # of the image size
SCALE_STD = 0.2  # octaves
ANISO_STD = 0.2  # octaves
XFRAC_STD = 0.125  # of the image size


def draw_geometry(
    probability: Mapping[str, Probability], strengths: Strengths, images: torch.Tensor, random: bool
) -> torch.Tensor:
    """Draw the matrices [N, 3, 3] of the operations that `probability` names, in the paper's order.

    Args:
        probability: of each operation, 0 to 1, by name.
        images: [N, C, H, W], for their size, dtype and device.
        random: False (the percentile mode) omits the second rotation.
    """
    height, width = images.shape[2:]
    A = torch.eye(3, dtype=images.dtype, device=images.device).repeat(len(images), 1, 1)
    # Every operation multiplies its inverse on the right: A <- A · inverse(operation).
    if "xflip" in probability:
        flip = 1 - 2 * strengths.choice(probability["xflip"], 2)
        A = A @ scaling(flip, torch.ones_like(flip))
    if "rotate90" in probability:
        A = A @ rotation(strengths.choice(probability["rotate90"], 4) * (math.pi / 2))
    if "xint" in probability:
        shift = strengths.uniform(probability["xint"], XINT_HALF_RANGE, axes=2)
        A = A @ translation(-_in_pixels(shift, width, height).round())
    if "scale" in probability:
        factor = torch.exp2(-strengths.normal(probability["scale"], SCALE_STD)[:, 0])
        A = A @ scaling(factor, factor)
    # One rotation before and one after the anisotropic scaling; at least one fires with probability p.
    rotate = 1 - (1 - probability["rotate"]) ** 0.5 if "rotate" in probability else None
    if rotate is not None:
        A = A @ rotation(strengths.uniform(rotate, math.pi)[:, 0])
    if "aniso" in probability:
        factor = torch.exp2(-strengths.normal(probability["aniso"], ANISO_STD)[:, 0])
        A = A @ scaling(factor, 1 / factor)
    if rotate is not None and random:
        A = A @ rotation(strengths.uniform(rotate, math.pi)[:, 0])
    if "xfrac" in probability:
        shift = strengths.normal(probability["xfrac"], XFRAC_STD, axes=2)
        A = A @ translation(-_in_pixels(shift, width, height))
    return A


def _in_pixels(shift: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """[N, 2] in fractions of the image's size -> in pixels."""
    return torch.stack([shift[:, 0] * width, shift[:, 1] * height], dim=1)


def resample(images: torch.Tensor, A: torch.Tensor, lowpass: torch.Tensor) -> torch.Tensor:
    """Transform images by A, with twofold oversampling; returns the same shape.

    Args:
        images: [N, C, H, W], any value range.
        A: [N, 3, 3], in pixels.
        lowpass: [taps], a filter from `setup_filter`.
    """
    height, width = images.shape[2:]
    reach = len(lowpass) // 4
    # Reading what this batch needs would wait for the GPU, which pads quickly anyway.
    most = (width - 1, height - 1, width - 1, height - 1)
    margin = most if images.is_cuda else margins(A, width, height, reach)
    left, top, right, bottom = margin
    images = images.contiguous()  # rows of pixels, since three channels do not fill a vector register
    images = upsample2d(F.pad(images, [left, right, top, bottom], mode="reflect"), lowpass)
    images = _sample_oversampled(images, A, margin, (2 * (height + 2 * reach), 2 * (width + 2 * reach)))
    return downsample2d(images, lowpass, padding=-2 * reach, flip_filter=True)


def _sample_oversampled(
    images: torch.Tensor, A: torch.Tensor, margin: tuple[int, int, int, int], size: tuple[int, int]
) -> torch.Tensor:
    """Transform images padded by `margin` and oversampled twofold into a new (height, width) `size`."""
    left, top, right, bottom = margin
    A = A.clone()
    A[:, 0, 2] += (left - right) / 2
    A[:, 1, 2] += (top - bottom) / 2
    # In oversampled pixels, S A S⁻¹; then with the centre moved by half a pixel, T A T⁻¹.
    A[:, :2, 2] *= 2
    A[:, :2, 2] += A[:, :2, :2].sum(dim=2) / 2 - 0.5
    return grid_sample(images, sampling_grid(A, (images.shape[2], images.shape[3]), size))


def margins(A: torch.Tensor, width: int, height: int, reach: int) -> tuple[int, int, int, int]:
    """Pixels (left, top, right, bottom) by which any image of the batch extends beyond its edges.

    Args:
        A: [N, 3, 3], in pixels.
        reach: half the width of the low-pass filter, pixels; included in the result.
    """
    cx, cy = (width - 1) / 2, (height - 1) / 2
    corners = A.new_tensor([[-cx, -cy, 1], [cx, -cy, 1], [cx, cy, 1], [-cx, cy, 1]])
    xy = (A[:, :2] @ corners.T).movedim(1, 0).reshape(2, -1)
    outward = torch.cat([-xy.amin(dim=1), xy.amax(dim=1)])
    needed = outward + 2 * reach - A.new_tensor([cx, cy, cx, cy])
    limit = A.new_tensor([width - 1, height - 1, width - 1, height - 1])
    left, top, right, bottom = needed.clamp(min=0).minimum(limit).ceil().int().tolist()
    return left, top, right, bottom


def translation(xy: torch.Tensor) -> torch.Tensor:
    """Matrices [N, 3, 3] that add xy [N, 2], in pixels."""
    matrix = torch.eye(3, dtype=xy.dtype, device=xy.device).repeat(len(xy), 1, 1)
    matrix[:, :2, 2] = xy
    return matrix


def scaling(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Matrices [N, 3, 3] that multiply by x [N] and y [N]."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def rotation(angle: torch.Tensor) -> torch.Tensor:
    """Matrices [N, 3, 3] that rotate by angle [N], in radians from x towards y."""
    matrix = torch.eye(3, dtype=angle.dtype, device=angle.device).repeat(len(angle), 1, 1)
    cosine, sine = angle.cos(), angle.sin()
    matrix[:, 0, 0] = cosine
    matrix[:, 0, 1] = -sine
    matrix[:, 1, 0] = sine
    matrix[:, 1, 1] = cosine
    return matrix


def sampling_grid(A: torch.Tensor, source: tuple[int, int], target: tuple[int, int]) -> torch.Tensor:
    """A [N, 3, 3] in pixels as a grid [N, h, w, 2] in `grid_sample`'s units, for sizes (height, width)."""
    theta = torch.stack([A[:, 0] * (2 / source[1]), A[:, 1] * (2 / source[0])], dim=1)
    theta[:, :, 0] *= target[1] / 2
    theta[:, :, 1] *= target[0] / 2
    return F.affine_grid(theta, [len(A), 1, *target], align_corners=False)
