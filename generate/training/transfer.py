"""Starting from the weights of a snapshot: matching tensors are copied, the others are listed (spec 4)."""

from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import torch

from morphoscope.cohort.luma import LUMA_WEIGHTS
from morphoscope.configs import UserError
from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.snapshots import read_discriminator, read_generator
from morphoscope.generate.training.growing import grown_discriminator, grown_generator
from morphoscope.generate.training.trainer import GeneratorTrainer

Tensors = dict[str, torch.Tensor]
_EMBEDDING = "mapping.embed.weight"
_FIRST_LAYER = "mapping.fc0.weight"
_HEAD, _UNCONDITIONAL_HEAD = "b4.out", "b4.out_unconditional"


def transfer_weights(trainer: GeneratorTrainer, path: Path, conditions: Sequence[str]) -> list[str]:
    """Copy the weights of a snapshot into the networks of `trainer` where name and shape match.

    A snapshot of a lower resolution works too: see `growing`. Label embeddings are matched by the names of
    the conditions; those of new conditions keep their random initialisation.
    After an unconditional snapshot the label has no influence on the generator at first. Layers at the image
    are converted between RGB and grey, see `_with_channels`. Below the config's noise_from, noise ends.

    Args:
        conditions: names of the trainer's conditions.

    Returns:
        What keeps its random initialisation: one entry per module or embedded condition.

    Raises:
        UserError: not a snapshot with a discriminator, or fewer than half of a network's tensors match.
    """
    network, _, metadata = read_generator(path)
    before = metadata.conditions if network.c_dim else []
    weights = _with_stages_embedded(network)
    d_weights = _with_stages_embedded(read_discriminator(path))
    weights = grown_generator(_with_channels(weights, trainer.G), trainer.G)
    unmatched = _copy(_relabelled(weights, trainer.G, before, conditions), trainer.G, path)
    _copy(_relabelled(weights, trainer.G_ema, before, conditions), trainer.G_ema, path)
    for network in (trainer.G, trainer.G_ema):
        for strength in network.synthesis.noise_strengths(below=trainer.config.network.noise_from):
            strength.data.zero_()
    d_weights = grown_discriminator(_with_channels(d_weights, trainer.D), trainer.D)
    d_weights = _relabelled(d_weights, trainer.D, before, conditions)
    unmatched += _copy(_with_heads(d_weights, trainer.D), trainer.D, path)
    new = [f"embedding of {name}" for name in conditions if before and name not in before]
    return unmatched + (new if trainer.config.conditions.conditional else [])


def _with_stages_embedded(network: Generator | Discriminator) -> Tensors:
    """The weights, with the embedding of an intermediate stage replaced by the mean of those of its ends."""
    weights = network.state_dict()
    if network.c_dim:
        effective = network.mapping.spread_stages(torch.eye(network.c_dim))
        weights[_EMBEDDING] = weights[_EMBEDDING] @ effective.T
    return weights


def _relabelled(
    source: Tensors, network: torch.nn.Module, before: Sequence[str], now: Sequence[str]
) -> Tensors:
    """Weights of a network for the conditions `before`, adapted to one for the conditions `now`."""
    target = network.state_dict()
    if _EMBEDDING not in target:
        return source
    weights = dict(source)
    if before:
        columns = target[_EMBEDDING].clone()
        if columns.shape[0] == source[_EMBEDDING].shape[0]:
            for index, name in enumerate(now):
                if name in before:
                    columns[:, index] = source[_EMBEDDING][:, before.index(name)]
            weights[_EMBEDDING] = columns
    elif _FIRST_LAYER in source and source[_FIRST_LAYER].shape[0] == target[_FIRST_LAYER].shape[0]:
        widened = torch.zeros_like(target[_FIRST_LAYER])
        width = source[_FIRST_LAYER].shape[1]
        # A wider layer has a smaller run-time gain, 1 / sqrt(in_features); this factor compensates for it.
        widened[:, :width] = source[_FIRST_LAYER] * sqrt(widened.shape[1] / width)
        weights[_FIRST_LAYER] = widened
    return weights


def _with_channels(source: Tensors, network: Generator | Discriminator) -> Tensors:
    """The weights of the layers to and from the image, for as many channels as the network has.

    From RGB to grey, G makes the luma of what it made, and D's logits of a grey image stay the same. From
    grey to RGB, G makes the same image in all channels, and D sees the mean of the channels.
    """
    weights = dict(source)
    luma = torch.tensor(LUMA_WEIGHTS)
    for name, own in source.items():
        layer, _, kind = name.rpartition(".")
        if layer.endswith("torgb") and len(own) != network.img_channels:
            if network.img_channels == 1:
                weights[name] = torch.tensordot(luma, own, dims=1)[None]
            else:
                weights[name] = own.repeat(3, *[1] * (own.ndim - 1))
        elif layer.endswith("fromrgb") and kind == "weight" and own.shape[1] != network.img_channels:
            # A layer's run-time gain is 1 / sqrt(in_channels).
            weights[name] = own.sum(dim=1, keepdim=True).expand(-1, network.img_channels, -1, -1) / sqrt(3)
    return weights


def _with_heads(source: Tensors, D: torch.nn.Module) -> Tensors:
    """The weights, where a single unconditional output also becomes the unconditional one of two outputs."""
    weights = dict(source)
    for kind in ("weight", "bias"):
        own, wanted = source.get(f"{_HEAD}.{kind}"), D.state_dict().get(f"{_UNCONDITIONAL_HEAD}.{kind}")
        if own is not None and wanted is not None and own.shape == wanted.shape:
            weights.setdefault(f"{_UNCONDITIONAL_HEAD}.{kind}", own)
    return weights


def _copy(source: Tensors, network: torch.nn.Module, path: Path) -> list[str]:
    """Copy the tensors that match by name and shape; return the modules with tensors that do not."""
    target = network.state_dict()
    matching = {
        name: tensor
        for name, tensor in source.items()
        if name in target and target[name].shape == tensor.shape
    }
    if 2 * len(matching) < len(target):
        raise UserError(
            f"{path}: only {len(matching)} of {len(target)} tensors of the {type(network).__name__.lower()} "
            "match; start from a snapshot of networks of the same kind."
        )
    network.load_state_dict({**target, **matching})
    return sorted({name.rpartition(".")[0] for name in target.keys() - matching.keys()})
