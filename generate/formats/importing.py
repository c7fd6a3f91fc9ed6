"""From a checkpoint of the StyleGAN2-ADA ecosystem to a snapshot of ours, and how faithful it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from morphoscope.configs import UserError
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.formats.stylegan2_networks import (
    Translated,
    translate_discriminator,
    translate_generator,
)
from morphoscope.generate.formats.stylegan2_pickle import read_networks
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.snapshots import write_snapshot
from morphoscope.runtime.files import file_sha256

_WITHOUT_LABELS = ["unlabelled"]


@dataclass(frozen=True)
class NetworkFidelity:
    """What became of one stored network.

    Attributes:
        tensors, parameters: numbers of those that were read.
        converted: names of tensors that were stored in another type than float32.
        ignored: names of stored tensors that our network does not have.
    """

    tensors: int
    parameters: int
    converted: list[str]
    ignored: list[str]


@dataclass(frozen=True)
class Fidelity:
    """How an import went.

    Attributes:
        source_sha256: digest of the checkpoint.
        generator: of the averaged generator (`G_ema`), or of `G` if the checkpoint has no other.
        averaged: whether the averaged generator was there.
        discriminator: None if the checkpoint has none; no training can start from the snapshot then.
        mean_w_distance: distance of the stored mean w from the mean over 4096 z and the conditions, relative
            to the spread of w. Near 0 if the mapping computes what it did in training with equally frequent
            conditions.
        left_out: what the checkpoint has besides, and the snapshot does not.
    """

    source_sha256: str
    generator: NetworkFidelity
    averaged: bool
    discriminator: NetworkFidelity | None
    mean_w_distance: float
    left_out: list[str]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def import_stylegan2(source: Path, destination: Path, conditions: Sequence[str] = ()) -> Fidelity:
    """Write a snapshot with the networks of a checkpoint; nothing of the checkpoint is executed.

    Args:
        destination: new .safetensors file.
        conditions: names of the classes in the order of the label vector (default: class 0, class 1 …).

    Raises:
        UserError: as `read_networks` and `translate_generator`, another number of names than classes, or the
            destination exists.
    """
    if destination.exists():
        raise UserError(f"{destination}: exists; choose the name of a new file.")
    stored = read_networks(source)
    name = "G_ema" if "G_ema" in stored else "G"
    if name not in stored:
        raise UserError(f"{source}: holds no generator (G_ema or G), only {', '.join(stored)}.")
    generator = translate_generator(source, name, stored[name])
    discriminator = translate_discriminator(source, "D", stored["D"]) if "D" in stored else None
    G, D = generator.network, None if discriminator is None else discriminator.network
    digest = file_sha256(source)
    metadata = _metadata(source, generator, discriminator, _names(source, G.c_dim, conditions), digest)
    means = write_snapshot(destination, G, D, metadata)
    return Fidelity(
        source_sha256=digest,
        generator=_fidelity(generator),
        averaged=name == "G_ema",
        discriminator=None if discriminator is None else _fidelity(discriminator),
        mean_w_distance=_mean_w_distance(G, means),
        left_out=sorted(set(stored) - {name, "D"}),
    )


@dataclass(frozen=True)
class Agreement:
    """How much our image of a seed differs from one that another program made, in levels of 8 bits.

    Attributes:
        largest, mean: absolute difference of a value.
        psnr: peak signal-to-noise ratio in dB; infinite for equal images.
    """

    seed: int
    largest: int
    mean: float
    psnr: float


def agreement(model: GeneratorModel, seed: int, condition: str, image: np.ndarray) -> Agreement:
    """Compare our image of a seed, without truncation and with the stored noise, with another program's.

    Args:
        image: uint8 [R, R, 3].

    Raises:
        UserError: an image of another shape, or an unknown condition.
    """
    ours = model.sample(condition, [seed], psi=1.0, noise_mode="const")[0]
    if image.shape != ours.shape:
        raise UserError(f"The image of seed {seed} has shape {image.shape}; this model makes {ours.shape}.")
    difference = np.abs(ours.astype(int) - image)
    error = float(np.square(difference).mean())
    psnr = float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
    return Agreement(seed, int(difference.max()), float(difference.mean()), psnr)


def _names(source: Path, c_dim: int, conditions: Sequence[str]) -> list[str]:
    if c_dim == 0:
        expected, default = 1, _WITHOUT_LABELS
    else:
        expected, default = c_dim, [f"class {index}" for index in range(c_dim)]
    if conditions and len(conditions) != expected:
        classes = "no labels, so it takes one name" if c_dim == 0 else f"{c_dim} classes"
        raise UserError(f"{source}: the generator has {classes}; {len(conditions)} conditions were named.")
    return list(conditions) or default


def _metadata(
    source: Path,
    generator: Translated[Generator],
    discriminator: Translated[Discriminator] | None,
    conditions: list[str],
    digest: str,
) -> SnapshotMetadata:
    """What is known of a model from elsewhere: not what it was trained on."""
    values: dict[str, Any] = {
        "conditions": conditions,
        "cohort_digest": None,
        "generator": generator.keywords.model_dump(exclude_unset=True),
        "imported_from": {"format": "stylegan2-ada-pytorch", "sha256": digest},
    }
    if discriminator is not None:
        values["discriminator"] = discriminator.keywords.model_dump(exclude_unset=True)
    return SnapshotMetadata.from_json(values, source)


def _fidelity(translated: Translated[Any]) -> NetworkFidelity:
    return NetworkFidelity(
        tensors=len(translated.network.state_dict()),
        parameters=sum(parameter.numel() for parameter in translated.network.parameters()),
        converted=translated.converted,
        ignored=translated.ignored,
    )


@torch.no_grad()
def _mean_w_distance(G: Generator, class_means: torch.Tensor) -> float:
    z = torch.randn([4096, G.z_dim], generator=torch.Generator().manual_seed(1))
    label = torch.eye(G.c_dim)[torch.arange(len(z)) % G.c_dim] if G.c_dim else None
    spread = G.mapping(z, label)[:, 0].std(dim=0).norm()
    return float((G.mapping.w_avg - class_means.mean(dim=0)).norm() / spread)
