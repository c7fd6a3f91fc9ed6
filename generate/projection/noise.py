"""The synthesis network's noise maps as variables, kept from carrying the image (StyleGAN2, appendix D)."""

import torch
from torch.nn import functional

from morphoscope.generate.networks.synthesis import SynthesisNetwork

_SMALLEST = 8  # pixels: maps are reduced down to this before the last correlation

Maps = dict[str, torch.Tensor]


def noise_maps(synthesis: SynthesisNetwork, starts: int) -> Maps:
    """{name of the buffer: its map for each start, [starts, 1, R, R]}, as variables."""
    return {
        name: buffer.expand(starts, 1, *buffer.shape).clone().requires_grad_()
        for name, buffer in synthesis.named_buffers()
        if name.endswith("noise_const")
    }


def regularisation(maps: Maps) -> torch.Tensor:
    """Σ over maps and their reductions: squared correlation with themselves, one pixel aside; [starts].

    Noise with independent pixels has none, at no scale; an image hidden in it does. Each reduction averages
    2x2 pixels and restores their variance.
    """
    total = torch.zeros([])
    for noise in maps.values():
        while True:
            for dimension in (2, 3):
                moved = noise.roll(1, dims=dimension)
                total = total + (noise * moved).mean(dim=(1, 2, 3)).square()
            if noise.shape[-1] <= _SMALLEST:
                break
            noise = 2 * functional.avg_pool2d(noise, 2)
    return total


@torch.no_grad()
def normalise(maps: Maps) -> None:
    """Give each map mean 0 and variance 1 again, in place."""
    for noise in maps.values():
        noise.sub_(noise.mean(dim=(1, 2, 3), keepdim=True))
        noise.mul_(noise.square().mean(dim=(1, 2, 3), keepdim=True).add(1e-8).rsqrt())


def of_start(maps: Maps, index: int) -> Maps:
    """The maps of one start, [1, 1, R, R], without gradients."""
    return {name: noise[index : index + 1].detach().clone() for name, noise in maps.items()}
