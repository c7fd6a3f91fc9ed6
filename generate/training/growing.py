"""Starting at a higher resolution: new blocks change nothing at first, so that training goes on as it was.

Progressive growing (Karras et al. 2018, arXiv 1710.10196) fades new layers in. Here they begin as what needs
no fading: G's new blocks draw nothing onto the enlarged image, and D's new blocks reduce the image and hand
on what the first block of the snapshot would have made of it. Behind random new blocks, the layers of the
snapshot receive features that they have never seen, and D gives all images the same logit
(docs/lab-notes.md).
"""

from math import sqrt

import torch

from morphoscope.generate.networks.discriminator import Discriminator, DiscriminatorBlock
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.networks.layers import ConvLayer
from morphoscope.ops.activations import ACTIVATIONS

Tensors = dict[str, torch.Tensor]
# Two channels carry a value v through the leaky ReLU: lrelu(v) - lrelu(-v) = (1 + slope) v, times its gain.
_BOTH_SIDES = (1 + ACTIVATIONS["lrelu"].alpha) * ACTIVATIONS["lrelu"].gain


def grown_generator(source: Tensors, network: Generator) -> Tensors:
    """The weights of a snapshot and, if every block draws on the image, of new blocks that draw nothing."""
    weights = dict(source)
    for resolution in network.synthesis.block_resolutions:
        block = getattr(network.synthesis, f"b{resolution}")
        start = f"synthesis.b{resolution}."
        if block.architecture == "skip" and not any(name.startswith(start) for name in source):
            for name in ("weight", "bias"):
                weights[f"{start}torgb.{name}"] = torch.zeros_like(getattr(block.torgb, name))
    return weights


def grown_discriminator(source: Tensors, network: Discriminator) -> Tensors:
    """The weights of a snapshot, and of new blocks that hand the reduced image on to it.

    The architecture must be "resnet", in which only the first block sees the image, and each new block needs
    two channels for each of the image's; otherwise new blocks keep their random initialisation.
    """
    weights = dict(source)
    channels = network.img_channels
    new = [r for r in network.block_resolutions if f"b{r}.conv0.weight" not in source]
    old_first = f"b{network.img_resolution >> len(new)}.fromrgb"
    if not new or f"{old_first}.weight" not in source:
        return weights
    blocks: list[DiscriminatorBlock] = [getattr(network, f"b{resolution}") for resolution in new]
    if any(block.architecture != "resnet" or len(block.conv0.weight) < 2 * channels for block in blocks):
        return weights
    first = source[f"{old_first}.weight"][:, :, 0, 0] / sqrt(channels)  # with its run-time gain
    split = torch.cat([torch.eye(channels), -torch.eye(channels)])  # a value => its two channels
    join = split.T / _BOTH_SIDES  # its two channels after the activation => the value
    for resolution, block in zip(new, blocks, strict=True):
        last = block is blocks[-1]
        # conv1 follows the activation with a gain that is smaller by sqrt(2), which its weights make good.
        matrices = {"conv0": split @ join, "conv1": sqrt(2) * (first if last else split) @ join}
        if block is blocks[0]:
            matrices["fromrgb"] = split
        for name, matrix in matrices.items():
            layer = getattr(block, name)
            weights[f"b{resolution}.{name}.weight"] = _with_matrix(layer, matrix)
            weights[f"b{resolution}.{name}.bias"] = torch.zeros_like(layer.bias)
        weights[f"b{resolution}.skip.weight"] = torch.zeros_like(block.skip.weight)
    weights[f"b{new[-1]}.conv1.bias"] = sqrt(2) * source[f"{old_first}.bias"]
    return weights


def _with_matrix(layer: ConvLayer, matrix: torch.Tensor) -> torch.Tensor:
    """The layer's random weight, but the central tap for its first outputs and inputs is `matrix`, [o, i].

    These outputs use nothing else.
    """
    weight = layer.weight.detach().clone()
    outputs, inputs = matrix.shape
    middle = weight.shape[-1] // 2
    weight[:outputs] = 0
    weight[:outputs, :inputs, middle, middle] = matrix / layer.weight_gain
    return weight
