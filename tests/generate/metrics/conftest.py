"""A feature network small enough for tests."""

import pytest
import torch
from torch import nn

from morphoscope.generate.metrics import FeatureNetwork


class Averages(nn.Module):
    """Mean colours of a grid of 4 × 4; counts the images that it sees."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, x):
        self.seen += len(x)
        return nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


@pytest.fixture
def make_network():
    """make_network(name, digest) -> a network of 48 features; its module counts the images it sees."""

    def make(name="averages", digest="0" * 16):
        return FeatureNetwork(
            name, digest, Averages(), dimensions=48, size=16, middle=127.5, device=torch.device("cpu")
        )

    return make
