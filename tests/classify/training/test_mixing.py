"""mixup and cutmix: their effect on pixels and targets."""

import pytest
import torch

from morphoscope.classify.training.mixing import batch_mixing


def batch(side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Four images of four classes; every pixel of an image is its number."""
    return torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, side, side), torch.eye(4)


@pytest.mark.parametrize("alphas", [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_pixels_and_targets_are_mixed_alike(alphas: tuple[float, float]) -> None:
    torch.manual_seed(0)
    mix = batch_mixing(*alphas)
    for _ in range(20):
        images, targets = mix(*batch())
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(4))
        # An image's mean is the mean of the numbers of those it is made of, by their shares.
        torch.testing.assert_close(images.mean(dim=(1, 2, 3)), targets @ torch.arange(4.0))


def test_mixup_blends_and_cutmix_pastes() -> None:
    torch.manual_seed(0)
    blended = [batch_mixing(1.0, 0.0)(*batch())[0] for _ in range(10)]
    assert all(len(image.unique()) == 1 for images in blended for image in images)
    pasted = [batch_mixing(0.0, 1.0)(*batch())[0] for _ in range(10)]
    assert {float(value) for images in pasted for value in images.unique()} == {0.0, 1.0, 2.0, 3.0}
    assert max(len(image.unique()) for images in pasted for image in images) == 2


def test_both_take_turns() -> None:
    torch.manual_seed(0)
    mix = batch_mixing(1.0, 1.0)
    blends = sum(bool((mix(*batch())[0] % 1).any()) for _ in range(200))  # pasting leaves whole numbers
    assert 70 < blends < 130


def test_without_alphas_a_batch_does_not_change() -> None:
    images, targets = batch()
    mixed = batch_mixing(0.0, 0.0)(images, targets)
    assert mixed[0] is images
    assert mixed[1] is targets


def test_the_seed_decides() -> None:
    first, second = [], []
    for found in (first, second):
        torch.manual_seed(7)
        mix = batch_mixing(0.4, 1.0)
        found.extend(mix(*batch())[0] for _ in range(5))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
