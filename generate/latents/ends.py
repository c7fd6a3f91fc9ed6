"""Where an image comes from: the ends of morphs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from morphoscope.cohort.provenance import PathEnd, label_text
from morphoscope.configs.morphs import Centre
from morphoscope.generate.execution import map_latents, truncated
from morphoscope.generate.model import GeneratorModel, draw_latents


@dataclass(frozen=True)
class ProjectedPhotograph:
    """A photograph found in a generator.

    Attributes:
        digest: first 16 hex digits of the SHA-256 of the photograph's file. Nothing else names it, since its
            file's name may be a patient's.
        generator: digest of the generator.
        space: w, one code for all layers; w_plus, a code for each layer; tuned, a code and tuned weights.
        label: the mixture of conditions that it was found at.
        codes: float32 [num_ws, w_dim].
        synthesis: tensors of the synthesis network that replace the generator's, by name: noise maps and
            tuned weights; empty if there are none.
        record: further facts about the projection, as plain JSON values.
        file_digest: of the file that it was read from; "" if it was not.
    """

    digest: str
    generator: str
    space: Literal["w", "w_plus", "tuned"]
    label: Mapping[str, float]
    codes: torch.Tensor
    synthesis: Mapping[str, torch.Tensor] = field(default_factory=dict)
    record: Mapping[str, object] = field(default_factory=dict)
    file_digest: str = ""


@dataclass(frozen=True)
class Move:
    """A step from a code along a direction.

    Attributes:
        name: of the direction.
        offset: what is added to the codes, [num_ws, w_dim]: direction times strength.
        strength: signed; see `directions` for its unit.
    """

    name: str
    strength: float
    offset: torch.Tensor


@dataclass(frozen=True)
class End:
    """Where an image comes from: a seed or a projected photograph, under a label.

    Attributes:
        source: a seed, or a photograph. It is what stays the same when the label changes.
        label: a mixture {condition: share}. A photograph under another label than its own has its codes
            moved by the difference of the two labels' mean w.
        moves: added to the codes.
    """

    source: int | ProjectedPhotograph
    label: Mapping[str, float]
    moves: tuple[Move, ...] = ()

    def title(self, text: str) -> str:
        """The text that stands for this end, as it may be shown.

        A photograph has its digest in place of its file, whose path may name a patient.
        """
        if isinstance(self.source, int):
            return text
        moves = "".join(f"@{move.name}={move.strength:g}" for move in self.moves)
        return f"photograph {self.source.digest}:{self.label_name}{moves}"

    @property
    def label_name(self) -> str:
        """The label in words: "NF1", or "60% IP + 40% ML"."""
        return next(iter(self.label)) if len(self.label) == 1 else label_text(self.label)

    def same_source(self, other: "End") -> bool:
        """Whether both are of one seed or one projection, so that only the label and the moves differ."""
        a, b = self.source, other.source
        if isinstance(a, int) or isinstance(b, int):
            return isinstance(a, int) and isinstance(b, int) and a == b
        return a is b or (a.digest == b.digest and a.space == b.space and a.codes.equal(b.codes))

    @property
    def mark(self) -> PathEnd:
        """The end as the mark of an image has it."""
        source, moves = self.source, [(move.name, move.strength) for move in self.moves]
        if isinstance(source, int):
            return PathEnd(seed=source, label=dict(self.label), directions=moves)
        return PathEnd(
            photograph=source.digest,
            projection=source.file_digest or None,
            label=dict(self.label),
            directions=moves,
        )

    @property
    def seed(self) -> int | None:
        """Of the latent z; None for a photograph."""
        return self.source if isinstance(self.source, int) else None


@torch.no_grad()
def seed_codes(
    model: GeneratorModel, z: torch.Tensor, labels: torch.Tensor, psi: float, centre: Centre
) -> torch.Tensor:
    """Truncated codes [N, num_ws, w_dim] of z [N, z_dim] and labels [N, K].

    Args:
        psi: truncation; 1 is none, 0 the centre itself.
        centre: condition, the mean w of each label; global, that of all training labels.
    """
    ws = map_latents(model.G, z.to(labels.device), labels)
    return truncated(ws, truncation_centres(model, labels, centre), psi)


def truncation_centres(model: GeneratorModel, labels: torch.Tensor, centre: Centre) -> torch.Tensor:
    """The centre of truncation of each label: [N, K] => [N, w_dim]."""
    if centre == "global":
        return model.G.mapping.w_avg.expand(len(labels), -1)
    return model.centres.of(labels)


def source_codes(
    model: GeneratorModel, end: End, labels: torch.Tensor, psi: float, centre: Centre
) -> torch.Tensor:
    """The codes [N, num_ws, w_dim] of an end's source under labels [N, K], without the end's moves.

    Photographs are not truncated: they would not be the same photographs.
    """
    source = end.source
    if isinstance(source, int):
        z = draw_latents([source], model.G.z_dim).expand(len(labels), -1)
        return seed_codes(model, z, labels, psi, centre)
    moved = model.centres.of(labels) - model.class_mean(source.label)
    return source.codes.to(labels.device) + moved[:, None]


def offset(model: GeneratorModel, end: End) -> torch.Tensor:
    """The sum of an end's moves, [num_ws, w_dim]."""
    total = torch.zeros([model.G.num_ws, model.G.w_dim], device=model.class_means.device)
    for move in end.moves:
        total = total + move.offset.to(total.device)
    return total
