"""Networks beyond the parity vectors: names, shapes and errors."""

import pytest
import torch

from morphoscope.generate import Discriminator, Generator
from morphoscope.generate.networks.synthesis import SynthesisNetwork


def test_label_may_be_any_point_of_the_simplex():
    G = Generator(8, 3, 8, 16, 3, synthesis_kwargs={"channel_base": 128, "channel_max": 8})
    images = G(torch.randn(2, 8), torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]), noise_mode="const")
    assert images.shape == (2, 3, 16, 16)
    assert images.isfinite().all()


def test_number_of_latents_follows_the_resolution():
    G = Generator(8, 0, 8, 64, 3, synthesis_kwargs={"channel_base": 128, "channel_max": 8})
    assert G.num_ws == 10


def test_w_avg_changes_only_by_follow():
    G = Generator(8, 0, 8, 8, 3, synthesis_kwargs={"channel_base": 128, "channel_max": 8})
    z = torch.randn(4, 8)
    w = G.mapping(z, None)[:, 0].detach()
    assert G.mapping.w_avg.abs().max() == 0
    G.mapping.follow(w.mean(dim=0))
    torch.testing.assert_close(G.mapping.w_avg, w.mean(dim=0) * 0.005)


def test_minibatch_groups_are_strided():
    D = Discriminator(0, 8, 3, channel_base=64, channel_max=8, epilogue_kwargs={"mbstd_group_size": 2})
    images = torch.randn(4, 3, 8, 8)
    swapped = D(images[[2, 1, 0, 3]], None)  # samples 0 and 2 are in one group, so only the order changes
    torch.testing.assert_close(D(images, None)[[2, 1, 0, 3]], swapped)


def test_freeze_order_starts_at_the_input():
    D = Discriminator(0, 16, 3, channel_base=64, channel_max=8)
    names = {module: name for name, module in D.named_modules()}
    order = [names[layer] for layer in D.layers_from_input()]
    assert order[:5] == ["b16.fromrgb", "b16.conv0", "b16.conv1", "b16.skip", "b8.conv0"]


@pytest.mark.parametrize("resolution", [12, 2, 0])
def test_resolution_must_be_a_power_of_two(resolution):
    with pytest.raises(ValueError, match="power of two"):
        Generator(8, 0, 8, resolution, 3)


def test_wrong_shapes_are_named():
    G = Generator(8, 2, 8, 8, 3, synthesis_kwargs={"channel_base": 64, "channel_max": 8})
    with pytest.raises(ValueError, match=r"c takes a tensor \[N, 2\]"):
        G(torch.randn(1, 8), torch.randn(1, 3))
    with pytest.raises(ValueError, match="noise_mode takes one of"):
        G(torch.randn(1, 8), torch.eye(2)[:1], noise_mode="loud")
    D = Discriminator(0, 8, 3, channel_base=64, channel_max=8)
    with pytest.raises(ValueError, match=r"img takes a floating-point tensor \[N, 3"):
        D(torch.randn(1, 1, 8, 8), None)


def test_batch_that_is_not_divisible_into_groups_is_an_error():
    D = Discriminator(0, 8, 3, channel_base=64, channel_max=8, epilogue_kwargs={"mbstd_group_size": 4})
    with pytest.raises(ValueError, match="mbstd_group_size"):
        D(torch.randn(6, 3, 8, 8), None)


def test_synthesis_compiles_into_one_graph() -> None:
    network = SynthesisNetwork(16, 32, 3, channel_base=1024, channel_max=32).eval().requires_grad_(False)
    ws = torch.randn(2, network.num_ws, 16)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        compiled(ws, noise_mode="const"), network(ws, noise_mode="const"), rtol=0, atol=1e-5
    )
