"""Perceptual path length: known for linear images, and of a generator that makes one image 0."""

import numpy as np
import pytest
import torch
from torch import nn

from morphoscope.generate import load
from morphoscope.generate.metrics import measure_path_length, path_lengths
from morphoscope.generate.metrics.perceptual import PerceptualNetwork
from morphoscope.generate.model import draw_latents


class Squares(nn.Module):
    """The pixels themselves: the distance of two images is their mean squared difference, over 3 channels."""

    def forward(self, images):
        return [images]


@pytest.fixture
def network():
    return PerceptualNetwork("pixels", "0" * 16, Squares(), torch.device("cpu"))


@pytest.fixture
def model(tiny_snapshot):
    return load(tiny_snapshot)


class Linear(nn.Module):
    """Images that are a linear function of w."""

    def __init__(self, synthesis, scale=1.0):
        super().__init__()
        self.matrix = nn.Parameter(
            torch.randn(synthesis.w_dim, 3, generator=torch.Generator().manual_seed(0))
        )
        self.scale = scale

    def forward(self, codes, noise_mode="const"):
        colours = self.scale * codes[:, 0] @ self.matrix
        return colours[:, :, None, None].expand(-1, -1, 64, 64)


def test_of_linear_images_it_is_the_squared_length_of_the_whole_path(model, network, monkeypatch):
    linear = Linear(model.G.synthesis)
    monkeypatch.setattr(model.G, "synthesis", linear)
    found = path_lengths(model, network, "dark", range(12))
    labels = np.repeat(model.label("dark")[None], 12, axis=0)
    w = model.codes(draw_latents(range(12), model.G.z_dim), labels)[:, 0]
    expected = ((w[1::2] - w[::2]) @ linear.matrix).square().sum(dim=1)
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0.02)


def test_a_generator_of_one_image_has_the_shortest_paths(model, network, monkeypatch):
    monkeypatch.setattr(model.G, "synthesis", Linear(model.G.synthesis, scale=0))
    assert (path_lengths(model, network, "dark", range(8)) == 0).all()


def test_overall_and_by_condition_with_intervals(model, network):
    found = measure_path_length(model, network, {"dark": 30, "pale": 10}, paths=6, seed=2)
    assert found.name == "ppl_pixels"
    dark, pale = (found.by_condition[name].estimate for name in ("dark", "pale"))
    assert 0 < dark.low < dark.value < dark.high
    assert dark.value == pytest.approx(path_lengths(model, network, "dark", range(2, 14)).mean())
    assert found.overall.estimate.value == pytest.approx(0.75 * dark.value + 0.25 * pale.value)
    assert found.named_values()["ppl_pixels/pale"] == pale.value
    assert found.worst_first()[0] == ("dark" if dark.value > pale.value else "pale")
