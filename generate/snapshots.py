"""Snapshots: a generator (and its discriminator) in one self-describing safetensors file."""

import copy
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from morphoscope.configs import UserError
from morphoscope.generate.centres import class_means
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.networks.mapping import fold_label_influence
from morphoscope.runtime.torch_checkpoints import read_checkpoint, read_metadata, write_checkpoint

KIND = "generator"
Tensors = dict[str, torch.Tensor]
Network = TypeVar("Network", Generator, Discriminator)
_CLASS_MEANS = "w_class"


class StoredGenerator(NamedTuple):
    """The generator that a snapshot holds.

    Attributes:
        G_ema: the averaged generator, in float32 on the CPU.
        class_means: mean w of each class [K, w_dim], float32.
    """

    G_ema: Generator
    class_means: torch.Tensor
    metadata: SnapshotMetadata


def write_snapshot(
    path: Path,
    G_ema: Generator,
    D: Discriminator | None,
    metadata: SnapshotMetadata,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Write the averaged generator, the discriminator for further training, and the mean w of each class.

    Args:
        dtype: of the stored weights; float16 halves the file of a bundled model.

    Returns:
        Mean w of each class [K, w_dim], on the device of G_ema.

    Raises:
        UserError: the file cannot be written.
    """
    tensors = {f"G_ema.{name}": tensor for name, tensor in G_ema.state_dict().items()}
    if D is not None:
        tensors |= {f"D.{name}": tensor for name, tensor in D.state_dict().items()}
    means = class_means(G_ema, len(metadata.conditions))
    tensors[_CLASS_MEANS] = means
    converted = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    write_checkpoint(path, KIND, converted, metadata.as_json())
    return means


def read_snapshot_metadata(path: Path) -> SnapshotMetadata:
    """The metadata of a snapshot, without its weights; UserError if there is no usable snapshot."""
    return SnapshotMetadata.from_json(read_metadata(path, KIND), path)


def read_generator(path: Path) -> StoredGenerator:
    """Read the generator of a snapshot.

    Raises:
        UserError: not a generator snapshot, damaged, or weights that do not fit the stored config.
    """
    tensors, stored = read_checkpoint(path, KIND)
    metadata = SnapshotMetadata.from_json(stored, path)
    means = tensors.get(_CLASS_MEANS)
    expected = (len(metadata.conditions), metadata.generator.w_dim)
    if means is None or means.shape != expected:
        shape = None if means is None else tuple(means.shape)
        raise UserError(f"{path}: {_CLASS_MEANS} must have shape {expected}, not {shape}.")
    network = _load(path, Generator, metadata.generator.model_dump(exclude_unset=True), tensors, "G_ema.")
    return StoredGenerator(network.eval().requires_grad_(False), means.float(), metadata)


def read_discriminator(path: Path) -> Discriminator:
    """The discriminator of a snapshot, in float32 on the CPU.

    Raises:
        UserError: as `read_generator`, or the snapshot holds no discriminator.
    """
    tensors, stored = read_checkpoint(path, KIND)
    keywords = SnapshotMetadata.from_json(stored, path).discriminator
    if keywords is None:
        raise UserError(f"{path}: holds no discriminator, so no training can start from it.")
    return _load(path, Discriminator, keywords.model_dump(exclude_unset=True), tensors, "D.")


def plain_generator(G: Generator, label_influence: float) -> Generator:
    """G itself, or during a transition a copy that works without the argument `label_influence`."""
    if label_influence == 1 or G.c_dim == 0:
        return G
    plain = copy.deepcopy(G)
    fold_label_influence(plain.mapping, label_influence)
    return plain


def _load(
    path: Path, network_type: type[Network], keywords: dict[str, Any], tensors: Tensors, prefix: str
) -> Network:
    """Build a network around stored weights, without random numbers and without further memory."""
    state = {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    with torch.device("meta"):
        network = network_type(**keywords)
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: weights under '{prefix}' do not fit the stored config ({reason[:500]})."
        ) from error
    return network
