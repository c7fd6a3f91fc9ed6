"""Directions in W: what the generator can change without labels, and the axis between two conditions."""

from dataclasses import dataclass

import torch

from morphoscope.configs import UserError
from morphoscope.generate.latents.ends import Move
from morphoscope.generate.model import GeneratorModel


@dataclass(frozen=True)
class Direction:
    """A direction of codes.

    Attributes:
        name: of a factorised one its number, from 1, and its layers if it has not all; "NF1>TSC" of an axis.
        step: what a strength of 1 adds to the codes, [num_ws, w_dim]: for a factorised direction one standard
            deviation of the codes along it, for an axis the whole way from one condition's mean w to the
            other's.
    """

    name: str
    step: torch.Tensor

    def move(self, strength: float) -> Move:
        """A step along it, which an `End` takes."""
        return Move(self.name, strength, self.step * strength)


@torch.no_grad()
def factorised_directions(model: GeneratorModel, count: int, layers: range | None = None) -> list[Direction]:
    """The directions along which the styles of some layers change most, the strongest first.

    They are the eigenvectors of A^T A for the stacked affine weights A of these layers (Shen and Zhou 2021,
    "Closed-Form Factorization of Latent Semantics in GANs", eq. 6). The sign is such that the largest element
    is positive.

    Args:
        count: from 1 to w_dim.
        layers: whose styles count, and whose codes change; all by default.

    Raises:
        UserError: more directions than w_dim, or layers that the generator lacks.
    """
    layers = check_layers(model, layers)
    width = model.G.w_dim
    if not 1 <= count <= width:
        raise UserError(f"directions: this generator has 1 to {width}, not {count}.")
    affine = torch.cat([weight for index in layers for weight in _affine_weights(model)[index]]).double()
    _, vectors = torch.linalg.eigh(affine.T @ affine)
    suffix = "" if len(layers) == model.G.num_ws else f"/{layers_text(layers)}"
    found = []
    for number, vector in enumerate(vectors.T.flip(0)[:count], start=1):
        unit = (vector * vector[vector.abs().argmax()].sign()).float()
        step = torch.zeros(model.G.num_ws, width, device=unit.device)
        step[list(layers)] = unit * _spread(model, unit)
        found.append(Direction(f"{number}{suffix}", step))
    return found


def condition_axis(model: GeneratorModel, a: str, b: str) -> Direction:
    """From the mean w of condition a to that of condition b, in all layers.

    Raises:
        UserError: an unknown condition.
    """
    step = model.class_mean(b) - model.class_mean(a)
    return Direction(f"{a}>{b}", step.expand(model.G.num_ws, -1))


def check_layers(model: GeneratorModel, layers: range | None) -> range:
    """The layers, all for None; UserError if the generator lacks one."""
    last = model.G.num_ws - 1
    if layers is None:
        return range(last + 1)
    if not layers or layers[0] < 0 or layers[-1] > last:
        raise UserError(f"layers: this generator has the layers 0-{last}, not {layers_text(layers)}.")
    return layers


def layers_text(layers: range) -> str:
    """ "2-5"."""
    return f"{layers.start}-{layers.stop - 1}"


def _affine_weights(model: GeneratorModel) -> list[list[torch.Tensor]]:
    """The affine weights [channels, w_dim] that each of the num_ws latents feeds, scaled as they act."""
    synthesis = model.G.synthesis
    found: list[list[torch.Tensor]] = [[] for _ in range(model.G.num_ws)]
    first = 0
    for resolution in synthesis.block_resolutions:
        block = getattr(synthesis, f"b{resolution}")
        names = ["conv1"] if block.num_conv == 1 else ["conv0", "conv1"]
        # torgb shares its latent with the next block's first convolution.
        for index, name in enumerate([*names, "torgb"] if block.has_torgb else names):
            affine = getattr(block, name).affine
            found[first + index].append(affine.weight * affine.weight_gain)
        first += block.num_conv
    return found


def _spread(model: GeneratorModel, unit: torch.Tensor) -> torch.Tensor:
    """The standard deviation along a unit vector of the codes of 512 random z, over all conditions."""
    z = torch.randn([512, model.G.z_dim], generator=torch.Generator().manual_seed(0)).to(unit.device)
    classes = torch.eye(len(model.conditions), device=unit.device)
    c = classes[torch.arange(len(z)) % len(classes)]
    offsets = model.G.mapping(z, c)[:, 0] - model.class_means[torch.arange(len(z)) % len(classes)]
    return (offsets @ unit).std()
