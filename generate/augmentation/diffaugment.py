"""DiffAugment: mild augmentation that is always on (Zhao et al. 2020, arXiv 2006.10738)."""

import torch

from morphoscope.generate.augmentation import geometry, image
from morphoscope.generate.augmentation.strengths import Strengths
from morphoscope.ops.grid_sample import grid_sample

BRIGHTNESS_HALF_RANGE = 0.5  # added to values of -1 … 1
SATURATION_HALF_RANGE = 1.0  # around a factor of 1, on what differs from a pixel's mean
CONTRAST_HALF_RANGE = 0.5  # around a factor of 1, on what differs from the image's mean
_ALWAYS = 1.0
_SHIFT_ONLY = {"xint": _ALWAYS}


class DiffAugment(torch.nn.Module):
    """Colour, translation and cutout of every image, with random strengths per image in the paper's ranges.

    Colour is brightness, saturation and contrast. The translation is by at most an eighth of the size, with
    zeros at the border. Cutout sets a square of half the size, with a uniformly random centre, to zero.
    Random numbers come from torch's global generator for the images' device. The result can be differentiated
    any number of times with respect to the images.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Augment a batch.

        Args:
            images: [N, 1 or 3, H, W] float32 (or float64), -1 to 1.

        Returns:
            The same shape and dtype; values may leave that range.

        Raises:
            UserError: wrong shape or dtype.
        """
        image.check_images(images)
        strengths = Strengths(images, percentile=None)
        images = _shift(_colour(images, strengths), strengths)
        size = strengths.switch(_ALWAYS, image.CUTOUT_SIZE)
        return image.apply_cutout(images, strengths.position(), size)


def _colour(images: torch.Tensor, strengths: Strengths) -> torch.Tensor:
    brightness = strengths.uniform(_ALWAYS, BRIGHTNESS_HALF_RANGE)[:, :, None].expand(-1, 3, 1)
    C = image.saturation(1 + strengths.uniform(_ALWAYS, SATURATION_HALF_RANGE))
    images = image.apply_colour(images, torch.cat([C, brightness], dim=2))
    contrast = 1 + strengths.uniform(_ALWAYS, CONTRAST_HALF_RANGE)[:, :, None, None]
    return images.mean(dim=[1, 2, 3], keepdim=True).lerp(images, contrast)


def _shift(images: torch.Tensor, strengths: Strengths) -> torch.Tensor:
    """Shift by whole pixels: bilinear sampling at the centres of pixels."""
    height, width = images.shape[2:]
    A = geometry.draw_geometry(_SHIFT_ONLY, strengths, images, random=True)
    return grid_sample(images, geometry.sampling_grid(A, (height, width), (height, width)))
