"""Baselines of attribution methods: images in which nothing is to be seen."""

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur  # type: ignore[import-untyped]

from morphoscope.classify.inputs.pairs import photographs
from morphoscope.configs.attribution import SINGLE_BASELINES, Baseline, SingleBaseline

_BLUR = 0.1  # standard deviation of the blur, as a fraction of the side: it leaves no lesion


def baseline_images(pixels: Tensor, baseline: Baseline) -> list[Tensor]:
    """The baselines of an image: one, or for "average" all four, each of the shape of `pixels`.

    Args:
        pixels: [1, 3, R, R] in [0, 1]; of a pair [1, 3, R, 2R], whose photographs each get their own.
    """
    names = SINGLE_BASELINES if baseline == "average" else (baseline,)
    return [baseline_image(pixels, name) for name in names]


def baseline_image(pixels: Tensor, baseline: SingleBaseline) -> Tensor:
    """One baseline of an image, as `baseline_images`."""
    return torch.cat([_of_photograph(half, baseline) for half in photographs(pixels)], dim=3)


def _of_photograph(pixels: Tensor, baseline: SingleBaseline) -> Tensor:
    if baseline == "mean":
        return pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels).contiguous()
    if baseline == "blurred":
        sigma = _BLUR * pixels.shape[-1]
        return gaussian_blur(pixels, [2 * round(2 * sigma) + 1] * 2, [sigma] * 2)
    return torch.full_like(pixels, 0.0 if baseline == "black" else 1.0)
