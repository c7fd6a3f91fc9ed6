"""The network of one region: its published shape, and starting from another one."""

import torch
from torch import nn

from morphoscope.classify.gestalt.region_networks.network import RegionNetwork, probabilities


def test_layers_are_those_of_deepgestalt():
    network = RegionNetwork(5).eval()
    convolutions = [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 64, 64, 128, 96, 192, 128, 256, 160, 320]
    assert all(layer.kernel_size == (3, 3) for layer in convolutions)
    assert network.dropout.p == 0.5
    with torch.inference_mode():
        assert network.body(torch.zeros(1, 1, 100, 100)).shape == (1, 320, 7, 7)


def test_probabilities_sum_to_one_at_any_size():
    found = probabilities(RegionNetwork(3, width=0.1), torch.rand(2, 1, 32, 32))
    assert found.shape == (2, 3)
    assert torch.allclose(found.sum(dim=1), torch.ones(2))


def test_all_but_the_head_comes_from_the_first_network():
    first, second = RegionNetwork(4, width=0.1), RegionNetwork(2, width=0.1)
    head = second.head.weight.clone()
    second.start_from(first.state_dict())
    for name, value in first.body.state_dict().items():
        assert torch.equal(value, second.body.state_dict()[name]), name
    assert torch.equal(head, second.head.weight)
