"""Snapshots: a generator (and its discriminator) in one self-describing safetensors file."""

from pathlib import Path
from typing import Any

import torch

from morphoscope.configs import UserError
from morphoscope.generate.discriminator import Discriminator
from morphoscope.generate.generator import Generator
from morphoscope.ops.runtime import read_checkpoint, write_checkpoint

KIND = "generator"
_CLASS_MEANS = "w_class"
_CLASS_MEAN_SAMPLES = 4096


def write_snapshot(
    path: Path,
    G_ema: Generator,
    D: Discriminator | None,
    metadata: dict[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write the averaged generator, the discriminator for further training, and each class's mean w.

    Args:
        metadata: must hold `conditions`, `generator` and `discriminator` (the networks' keywords);
            `read_generator` needs nothing else.
        dtype: of the stored weights; float16 halves the file of a bundled model.
    """
    tensors = {f"G_ema.{name}": tensor for name, tensor in G_ema.state_dict().items()}
    if D is not None:
        tensors |= {f"D.{name}": tensor for name, tensor in D.state_dict().items()}
    tensors[_CLASS_MEANS] = class_means(G_ema, len(metadata["conditions"]))
    write_checkpoint(path, KIND, {name: tensor.to(dtype) for name, tensor in tensors.items()}, metadata)


def read_generator(path: Path) -> tuple[Generator, torch.Tensor, dict[str, Any]]:
    """(averaged generator in float32 on the CPU, each class's mean w [K, w_dim], metadata).

    Raises:
        UserError: not a generator snapshot, damaged, or weights that do not fit the stored config.
    """
    tensors, metadata = read_checkpoint(path, KIND)
    network = Generator(**_keywords(path, metadata, "generator"))
    _load(path, network, tensors, "G_ema.")
    if _CLASS_MEANS not in tensors or "conditions" not in metadata:
        raise UserError(f"{path}: the snapshot lacks its classes; it was not written by `generate train`.")
    return network.eval().requires_grad_(False), tensors[_CLASS_MEANS].float(), metadata


def read_discriminator(path: Path) -> Discriminator:
    """The discriminator of a snapshot, in float32 on the CPU; errors as for `read_generator`."""
    tensors, metadata = read_checkpoint(path, KIND)
    network = Discriminator(**_keywords(path, metadata, "discriminator"))
    _load(path, network, tensors, "D.")
    return network


@torch.no_grad()
def class_means(G: Generator, conditions: int) -> torch.Tensor:
    """Mean w of each class over random z [K, w_dim]: the centre to truncate towards (spec 8)."""
    device = G.mapping.w_avg.device
    randomness = torch.Generator().manual_seed(0)
    z = torch.randn([_CLASS_MEAN_SAMPLES, G.z_dim], generator=randomness).to(device)
    means = []
    for label in torch.eye(conditions, device=device):
        means.append(G.mapping(z, label.expand(len(z), -1))[:, 0].mean(dim=0))
    return torch.stack(means)


def _keywords(path: Path, metadata: dict[str, Any], network: str) -> dict[str, Any]:
    if not isinstance(metadata.get(network), dict):
        raise UserError(f"{path}: the snapshot does not say how its {network} is built.")
    return metadata[network]


def _load(path: Path, network: torch.nn.Module, tensors: dict[str, torch.Tensor], prefix: str) -> None:
    state = {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: weights under '{prefix}' do not fit the stored config ({reason})."
        ) from error
