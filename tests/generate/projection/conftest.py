"""A tiny model, a small perceptual network, and settings that take a second."""

import pytest
import torch
from torch import nn

from morphoscope.configs.projection import Projecting
from morphoscope.generate import load
from morphoscope.generate.metrics.perceptual import PerceptualNetwork


class Colours(nn.Module):
    """Mean colours at two scales."""

    def forward(self, images):
        return [nn.functional.adaptive_avg_pool2d(images, size) for size in (16, 4)]


@pytest.fixture(scope="session")
def colours():
    return PerceptualNetwork("colours", "0" * 16, Colours(), torch.device("cpu"))


@pytest.fixture(scope="session")
def model(tiny_snapshot):
    return load(tiny_snapshot)


@pytest.fixture
def quick():
    """quick(**settings) -> settings of a short projection."""

    def make(**changed):
        steps = {"search_steps": 4, "w_steps": 6, "w_plus_steps": 6, "tuning_steps": 6}
        return Projecting(
            **{"candidates": 8, "starts": 2, "film": False, "morph_steps": 3, **steps, **changed}
        )

    return make
