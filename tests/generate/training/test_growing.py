"""At first, networks that have grown do what they did before."""

import pytest
import torch

from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.training.growing import grown_discriminator, grown_generator
from morphoscope.ops import downsample2d, setup_filter, upsample2d

SIZES = {"channel_base": 256, "channel_max": 12}
FILTER = setup_filter((1, 3, 3, 1))


def grown(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The network with those of the weights that it has, as `transfer_weights` copies them."""
    own = network.state_dict()
    network.load_state_dict({**own, **{name: weight for name, weight in weights.items() if name in own}})
    return network


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_discriminator_sees_the_reduced_image(steps: int, channels: int) -> None:
    torch.manual_seed(0)
    small = Discriminator(3, 8, channels, **SIZES)
    torch.nn.init.normal_(small.b8.fromrgb.bias)
    large = Discriminator(3, 8 << steps, channels, **SIZES)
    large = grown(large, grown_discriminator(small.state_dict(), large))
    image, c = torch.randn(8, channels, 8 << steps, 8 << steps), torch.eye(3)[torch.arange(8) % 3]
    reduced = image
    for _ in range(steps):
        reduced = downsample2d(reduced, FILTER)
    torch.testing.assert_close(large(image, c), small(reduced, c), rtol=1e-4, atol=1e-4)


def test_what_is_new_in_the_discriminator_can_learn() -> None:
    torch.manual_seed(0)
    small, large = Discriminator(0, 8, 3, **SIZES), Discriminator(0, 16, 3, **SIZES)
    large = grown(large, grown_discriminator(small.state_dict(), large))
    large(torch.randn(4, 3, 16, 16), None).sum().backward()
    block = large.b16
    for layer in (block.fromrgb, block.conv0, block.conv1, block.skip):
        assert layer.weight.grad.flatten(1).norm(dim=1).gt(0).any()
    assert block.conv1.weight.grad[:, 6:].abs().max() > 0  # also from the channels that carry no colour


def test_generator_enlarges_its_image() -> None:
    torch.manual_seed(0)
    sizes = {"num_fp16_res": 0, **SIZES}
    small = Generator(4, 3, 4, 8, 3, synthesis_kwargs=sizes)
    large = Generator(4, 3, 4, 32, 3, synthesis_kwargs=sizes)
    large = grown(large, grown_generator(small.state_dict(), large))
    z, c = torch.randn(4, 4), torch.eye(3)[[0, 1, 2, 0]]
    expected = small(z, c, noise_mode="none")
    for _ in range(2):
        expected = upsample2d(expected, FILTER)
    torch.testing.assert_close(large(z, c, noise_mode="none"), expected, rtol=1e-4, atol=1e-5)


def test_blocks_too_narrow_for_the_image_stay_random() -> None:
    """Two channels for each colour need six."""
    sizes = {"channel_base": 64, "channel_max": 12}  # 4 channels at 16 px
    small, large = Discriminator(0, 8, 3, **sizes), Discriminator(0, 16, 3, **sizes)
    assert grown_discriminator(small.state_dict(), large).keys() == small.state_dict().keys()
