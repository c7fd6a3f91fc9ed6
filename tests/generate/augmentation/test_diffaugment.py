"""DiffAugment: its effect on known images, its ranges, and its gradients."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.configs import UserError
from morphoscope.generate.augmentation import DiffAugment
from morphoscope.generate.augmentation.diffaugment import _colour, _shift
from morphoscope.generate.augmentation.strengths import Strengths


def _images(n: int = 200, c: int = 3, size: int = 16, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(n, c, size, size, dtype=dtype) * 2 - 1


def test_brightness_moves_grey_by_up_to_half() -> None:
    flat = torch.zeros(1000, 3, 4, 4)
    result = _colour(flat, Strengths(flat, None))
    shift = result[:, 0, 0, 0]
    torch.testing.assert_close(
        result, shift[:, None, None, None].expand_as(result)
    )  # a uniform grey stays uniform
    assert -0.5 <= shift.min() < -0.45
    assert 0.45 < shift.max() <= 0.5


def test_saturation_and_contrast_scale_differences_within_their_ranges() -> None:
    images = _images()
    result = _colour(images, Strengths(images, None))

    def differences(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        luma = x.mean(dim=1, keepdim=True)
        return luma - luma.mean(dim=[2, 3], keepdim=True), x - luma

    (luma, chroma), (new_luma, new_chroma) = differences(images), differences(result)
    contrast = (new_luma / luma).flatten(1).median(dim=1).values
    torch.testing.assert_close(new_luma, luma * contrast[:, None, None, None], atol=1e-5, rtol=0)
    assert 0.5 <= contrast.min() < 0.52
    assert 1.48 < contrast.max() <= 1.5
    saturation = (new_chroma / chroma).flatten(1).median(dim=1).values / contrast
    scale = (saturation * contrast)[:, None, None, None]
    torch.testing.assert_close(new_chroma, chroma * scale, atol=1e-5, rtol=0)
    assert 0 <= saturation.min() < 0.05
    assert 1.95 < saturation.max() <= 2


def test_shift_is_by_whole_pixels_up_to_an_eighth_with_zeros_at_the_border() -> None:
    images = _images()
    result = _shift(images, Strengths(images, None))
    padded = torch.nn.functional.pad(images, [2] * 4)  # an eighth of 16
    seen = set()
    for image, shifted in zip(padded, result, strict=True):
        found = [
            (x, y)
            for x in range(5)
            for y in range(5)
            if torch.allclose(image[:, y : y + 16, x : x + 16], shifted, atol=1e-4)
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 25


def test_cutout_differs_between_images() -> None:
    blank = (DiffAugment()(torch.full((60, 1, 16, 16), 5.0)) == 0)[:, 0]
    fractions = blank.float().mean(dim=[1, 2])
    assert fractions.min() >= 1 / 16  # a quarter of the square, at a corner
    assert fractions.max() <= 1 / 4 + 15 / 64  # the whole square, and two borders of zeros
    assert len({tuple(image.flatten().tolist()) for image in blank}) > 50


def test_is_reproducible_with_the_global_generator() -> None:
    images = _images(4)
    torch.manual_seed(1)
    first, second = DiffAugment()(images), DiffAugment()(images)
    torch.manual_seed(1)
    assert torch.equal(DiffAugment()(images), first)
    assert not torch.equal(first, second)


def test_first_and_second_derivatives() -> None:
    images = _images(2, size=8, dtype=torch.float64).requires_grad_()

    def augmented(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(2)
        return DiffAugment()(x).tanh()

    assert gradcheck(augmented, (images,), fast_mode=True)
    assert gradgradcheck(augmented, (images,), fast_mode=True)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UserError, match="RGB or grey"):
        DiffAugment()(torch.zeros(1, 4, 8, 8))
