"""Baselines: their colours, and those of a pair's photographs."""

import torch

from morphoscope.classify.attribution.baselines import baseline_image, baseline_images


def test_uniform_baselines_have_their_colour() -> None:
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert not baseline_image(pixels, "black").any()
    assert (baseline_image(pixels, "white") == 1).all()
    torch.testing.assert_close(
        baseline_image(pixels, "mean"), pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels)
    )


def test_blurring_removes_small_spots_and_keeps_a_gradient() -> None:
    light = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    spotted = light.clone()
    spotted[..., 30:34, 30:34] = 0
    blurred = baseline_image(spotted, "blurred")
    assert (blurred - baseline_image(light, "blurred")).abs().max() < 0.05
    assert blurred[0, 0, 32, 8] < 0.25 and blurred[0, 0, 32, 56] > 0.75


def test_average_has_all_four_baselines() -> None:
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    names = ("mean", "black", "white", "blurred")
    for found, name in zip(baseline_images(pixels, "average"), names, strict=True):
        assert torch.equal(found, baseline_image(pixels, name))


def test_each_photograph_of_a_pair_has_its_own_mean() -> None:
    pair = torch.cat([torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.8)], dim=3)
    torch.testing.assert_close(baseline_image(pair, "mean"), pair)
