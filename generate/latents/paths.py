"""Paths between two ends: which codes lie between them, and the images of these."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from morphoscope.cohort.provenance import MorphPath, label_text
from morphoscope.configs import UserError
from morphoscope.configs.morphs import Centre, Interpolation, Way
from morphoscope.generate.execution import BATCH
from morphoscope.generate.latents.ends import (
    End,
    offset,
    seed_codes,
    source_codes,
    truncation_centres,
)
from morphoscope.generate.model import GeneratorModel, draw_latents
from morphoscope.generate.networks.synthesis import SynthesisNetwork
from morphoscope.generate.rendering import render
from morphoscope.ops.precision import convolutions_in
from morphoscope.runtime.progress import track


@dataclass(frozen=True)
class LatentPath:
    """A way from one end to another. Ratio 0 is end a, ratio 1 end b, and each is exactly its own image.

    Attributes:
        way: what changes along the path. label, the labels are mixed, and where the seeds differ z goes from
            one to the other on the sphere; w, the codes of the two ends are interpolated; both, the labels
            are mixed, and the codes of the two sources under that label are interpolated.
        interpolation: of codes. linear, or spherical around the centres of truncation, which keeps their
            distance from these: in the middle of a line the distance is smaller, and the image blander.
        psi: truncation of what comes from seeds.
        centre: of the truncation.
    """

    a: End
    b: End
    way: Way = "label"
    interpolation: Interpolation = "linear"
    psi: float = 0.7
    centre: Centre = "condition"

    def mark(self, positions: Sequence[float] | np.ndarray, spacing: str | None = None) -> MorphPath:
        """The path as the mark of images at these ratios has it.

        Args:
            spacing: the network in whose features they were spaced evenly.
        """
        return MorphPath(
            ends=(self.a.mark, self.b.mark),
            way=self.way,
            interpolation=self.interpolation,
            centre=self.centre,
            positions=[float(position) for position in positions],
            spacing=spacing,
        )

    def labels(self, model: GeneratorModel, ratios: Sequence[float] | np.ndarray) -> np.ndarray:
        """The label at each ratio, [N, K]."""
        t = np.asarray(ratios, np.float64)[:, None]
        mixed: np.ndarray = (1 - t) * model.label(self.a.label) + t * model.label(self.b.label)
        return mixed

    def mixtures(self, model: GeneratorModel, ratios: Sequence[float] | np.ndarray) -> list[dict[str, float]]:
        """The label at each ratio as {condition: share}, without shares of 0."""
        labels = self.labels(model, ratios).tolist()
        named = (zip(model.conditions, label, strict=True) for label in labels)
        return [{name: share for name, share in label if share > 0} for label in named]

    def captions(self, model: GeneratorModel, ratios: Sequence[float] | np.ndarray) -> list[str]:
        """The mixture of each frame, or where codes are interpolated, how far it is along the path."""
        if self.way == "w" or self.a.label == self.b.label:
            return [f"{100 * ratio:.0f}%" for ratio in ratios]
        return [label_text(label) for label in self.mixtures(model, ratios)]

    @torch.no_grad()
    def codes(self, model: GeneratorModel, ratios: Sequence[float] | np.ndarray) -> torch.Tensor:
        """The codes at each ratio, [N, num_ws, w_dim].

        Raises:
            UserError: way label between two sources of which one is a photograph.
        """
        device = model.class_means.device
        t = torch.as_tensor(np.asarray(ratios), dtype=torch.float32, device=device)[:, None, None]
        labels = torch.from_numpy(self.labels(model, ratios)).to(device, torch.float32)
        if self.way == "label" or (self.way == "both" and self.a.same_source(self.b)):
            found = self._by_label(model, labels, t[:, 0])
        else:
            found = self._by_code(model, labels, t)
        return found + offset(model, self.a).lerp(offset(model, self.b), t)

    def _by_label(self, model: GeneratorModel, labels: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a, b = self.a.source, self.b.source
        if isinstance(a, int) and isinstance(b, int):
            first, second = draw_latents([a, b], model.G.z_dim).to(t.device).split(1)
            z = first.expand(len(t), -1) if a == b else spherical(first, second, t)
            return seed_codes(model, z, labels, self.psi, self.centre)
        if not self.a.same_source(self.b):
            raise UserError(
                "A photograph and another source have no latent z between them: choose the way w or both."
            )
        return source_codes(model, self.a, labels, self.psi, self.centre)

    def _by_code(self, model: GeneratorModel, labels: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        if self.way == "both":
            first, second = labels, labels
        else:
            device = labels.device
            own = [torch.from_numpy(model.label(end.label)).to(device)[None] for end in (self.a, self.b)]
            first, second = own
        a = source_codes(model, self.a, first, self.psi, self.centre)
        b = source_codes(model, self.b, second, self.psi, self.centre)
        if self.interpolation == "linear":
            return torch.lerp(a, b, t)
        from_a = truncation_centres(model, first, self.centre)[:, None]
        from_b = truncation_centres(model, second, self.centre)[:, None]
        return torch.lerp(from_a, from_b, t) + spherical(a - from_a, b - from_b, t)

    def frames(self, model: GeneratorModel, ratios: Sequence[float] | np.ndarray) -> np.ndarray:
        """The images at each ratio, uint8 [N, R, R, 3].

        Raises:
            UserError: as for `codes`.
        """
        stream = track(self.stream(model, ratios), "Generating frames", total=len(ratios), unit="frames")
        return np.array(list(stream), np.uint8).reshape(len(ratios), model.resolution, model.resolution, 3)

    def stream(self, model: GeneratorModel, ratios: Sequence[float] | np.ndarray) -> Iterator[np.ndarray]:
        """Like `frames`, but yields single images uint8 [R, R, 3], generated in batches."""
        codes = self.codes(model, ratios)
        a, b = _replaced(self.a), _replaced(self.b)
        if self.a.same_source(self.b) or not (a or b):
            network = with_tensors(model.G.synthesis, a)
            for part in codes.split(BATCH):
                yield from _images(model, network, part)
            return
        own = model.G.synthesis.state_dict()
        for ratio, code in zip(ratios, codes, strict=True):
            mixed = {
                name: torch.lerp(a.get(name, own[name]), b.get(name, own[name]), float(ratio))
                for name in {*a, *b}
            }
            yield from _images(model, with_tensors(model.G.synthesis, mixed), code[None])


def spherical(a: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """From vectors a to b [..., D]: directions along the great circle, lengths linearly; t [..., 1].

    Vectors of nearly the same or the opposite direction, and those of no length, are interpolated linearly.
    """
    lengths = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    unit = [vector / length.clamp_min(1e-12) for vector, length in zip((a, b), lengths, strict=True)]
    angle = (unit[0] * unit[1]).sum(dim=-1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    usable = (sine > 1e-4) & (lengths[0] > 1e-12) & (lengths[1] > 1e-12)
    safe = torch.where(usable, sine, torch.ones_like(sine))
    direction = (((1 - t) * angle).sin() * unit[0] + (t * angle).sin() * unit[1]) / safe
    return torch.where(usable, direction * torch.lerp(*lengths, t), (1 - t) * a + t * b)


def with_tensors(synthesis: SynthesisNetwork, tensors: dict[str, torch.Tensor]) -> SynthesisNetwork:
    """The network itself, or a copy with some of its tensors replaced."""
    if not tensors:
        return synthesis
    network = copy.deepcopy(synthesis)
    network.load_state_dict(tensors, strict=False)
    return network


def _images(model: GeneratorModel, network: SynthesisNetwork, codes: torch.Tensor) -> np.ndarray:
    """The images of a network, the model's own or a copy with other weights, in the model's precision."""
    with convolutions_in(model.precision):
        return render(network, codes)


def _replaced(end: End) -> dict[str, torch.Tensor]:
    """What an end replaces in the synthesis network."""
    return {} if isinstance(end.source, int) else dict(end.source.synthesis)
