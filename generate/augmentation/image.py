"""Operations of the augmentation on pixel values: colour, filtering, noise and cutout (spec 3)."""

import math
from collections.abc import Mapping

import numpy as np
import pywt
import torch
import torch.nn.functional as F

from morphoscope.configs import UserError, arguments
from morphoscope.generate.augmentation.strengths import Probability, Strengths

COLOUR_OPERATIONS = ("brightness", "contrast", "lumaflip", "hue", "saturation")

BRIGHTNESS_STD = 0.2
CONTRAST_STD = 0.5  # octaves
SATURATION_STD = 1.0  # octaves
IMGFILTER_STD = 1.0  # octaves
NOISE_STD = 0.1
CUTOUT_SIZE = 0.5  # of the image size
LUMA_SHARE = 1 / 3  # every element of v v', v = (1, 1, 1) / sqrt(3) being the luma axis
# Expected power of natural images in the four octave bands (1/f), summing to 1.
BAND_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)


def check_images(images: torch.Tensor) -> None:
    """Raise UserError for images that are not [N, 1 or 3, H, W] in float32 or float64."""
    if not isinstance(images, torch.Tensor):
        arguments.refuse("images", "a tensor [N, 3 or 1, H, W], float32", images)
    if images.ndim != 4 or 0 in images.shape or images.shape[1] not in (1, 3):
        raise UserError(
            f"Augmentation needs RGB or grey images [N, 3 or 1, H, W], not shape {tuple(images.shape)}."
        )
    if images.dtype not in (torch.float32, torch.float64):
        raise UserError(f"Augmentation needs float32 images, not {images.dtype}; convert them first.")


def draw_colour(
    probability: Mapping[str, Probability], strengths: Strengths, images: torch.Tensor
) -> torch.Tensor:
    """Draw the affine colour matrices [N, 3, 4] of the operations that `probability` names.

    Args:
        probability: of each operation, 0 to 1, by name.
        images: [N, C, H, W], for their number, dtype and device.
    """
    eye = torch.eye(3, dtype=images.dtype, device=images.device)
    C = torch.eye(3, 4, dtype=images.dtype, device=images.device).repeat(len(images), 1, 1)
    if "brightness" in probability:
        C[:, :, 3] += strengths.normal(probability["brightness"], BRIGHTNESS_STD)
    if "contrast" in probability:
        C = C * torch.exp2(strengths.normal(probability["contrast"], CONTRAST_STD))[:, :, None]
    if "lumaflip" in probability:
        flip = strengths.choice(probability["lumaflip"], 2)[:, None, None]
        C = (eye - 2 * LUMA_SHARE * flip) @ C  # Householder reflection
    if "hue" in probability:
        C = _rotation_about_luma(strengths.uniform(probability["hue"], math.pi)) @ C
    if "saturation" in probability:
        C = saturation(torch.exp2(strengths.normal(probability["saturation"], SATURATION_STD))) @ C
    return C


def apply_colour(images: torch.Tensor, C: torch.Tensor) -> torch.Tensor:
    """Transform the colours of images [N, 3 or 1, H, W] by C [N, 3, 4]; grey images by the mean row of C."""
    if images.shape[1] == 1:
        row = C.mean(dim=1)[:, None, None]
        return images * row[..., :3].sum(dim=3, keepdim=True) + row[..., 3:]
    pixels = images.flatten(2)
    return torch.baddbmm(C[:, :, 3:], C[:, :, :3], pixels).reshape(images.shape)


def saturation(factor: torch.Tensor) -> torch.Tensor:
    """Matrices [N, 3, 3] that keep the luma and scale the rest of the colour.

    Args:
        factor: [N, 1], at least 0; 0 is grey, 1 no change.
    """
    eye = torch.eye(3, dtype=factor.dtype, device=factor.device)
    luma = torch.full_like(eye, LUMA_SHARE)
    return luma + (eye - luma) * factor[:, :, None]


def _rotation_about_luma(angle: torch.Tensor) -> torch.Tensor:
    """[N, 1] (radians) -> [N, 3, 3], Rodrigues' formula about (1, 1, 1) / sqrt(3)."""
    angle = angle[:, :, None]
    eye = torch.eye(3, dtype=angle.dtype, device=angle.device)
    cyclic = eye.roll(1, dims=0)
    cross = (cyclic - cyclic.T) / math.sqrt(3)
    return angle.cos() * eye + angle.sin() * cross + (1 - angle.cos()) / 3


def wavelet_bank() -> torch.Tensor:
    """[4, 43] float32: filters that split an image into four octave bands and sum to the unit impulse.

    Built from the symlet "sym2" (ADA paper, appendix B): row i holds band i, lowest first.
    """
    taps = np.asarray(pywt.Wavelet("sym2").dec_lo)
    alternating = taps * (-1.0) ** np.arange(len(taps))
    low = np.convolve(taps, taps[::-1]) / 2
    high = np.convolve(alternating, alternating[::-1]) / 2
    bank = np.zeros((4, 1))
    bank[0, 0] = 1
    for band in range(1, len(bank)):
        spread = np.zeros((len(bank), 2 * bank.shape[1] - 1))
        spread[:, ::2] = bank
        bank = np.stack([np.convolve(row, low) for row in spread])
        start = (bank.shape[1] - len(high)) // 2
        bank[band, start : start + len(high)] += high
    return torch.from_numpy(bank).float()


def draw_band_gains(probability: Probability, strengths: Strengths, images: torch.Tensor) -> torch.Tensor:
    """Gains [N, 4] of the octave bands; each change keeps the expected power of a natural image."""
    gains = torch.ones(len(images), len(BAND_POWER), dtype=images.dtype, device=images.device)
    for band, power in enumerate(BAND_POWER):
        change = torch.exp2(strengths.normal(probability, IMGFILTER_STD))[:, 0]
        gains = gains / (1 + power * (change.square() - 1)).sqrt()[:, None]
        gains[:, band] *= change
    return gains


def apply_filters(images: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Filter each image [N, C, H, W] along x and y with its own symmetric filter [N, odd number of taps]."""
    n, c, h, w = images.shape
    half = filters.shape[1] // 2
    weights = filters.repeat_interleave(c, dim=0)
    images = F.pad(images.reshape(1, n * c, h, w), [half] * 4, mode="reflect")
    images = F.conv2d(images, weights[:, None, None, :], groups=n * c)
    images = F.conv2d(images, weights[:, None, :, None], groups=n * c)
    return images.reshape(n, c, h, w)


def apply_noise(images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Add white noise of standard deviation sigma [N, 1] to images [N, C, H, W]."""
    return images + torch.randn_like(images) * sigma[:, :, None, None]


def apply_cutout(images: torch.Tensor, centre: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Set a rectangle in each image [N, C, H, W] to 0.

    Args:
        centre: [N, 2], (x, y), as fractions of the image's width and height.
        size: [N, 1], as a fraction of the image's width and height; 0 changes nothing.
    """
    height, width = images.shape[2:]
    x = (torch.arange(width, dtype=images.dtype, device=images.device) + 0.5) / width
    y = (torch.arange(height, dtype=images.dtype, device=images.device) + 0.5) / height
    outside_x = (x - centre[:, :1]).abs() >= size / 2
    outside_y = (y - centre[:, 1:]).abs() >= size / 2
    keep = outside_x[:, None, None, :] | outside_y[:, None, :, None]
    return images * keep
