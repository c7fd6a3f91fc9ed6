"""Finding a photograph in a generator: the search for its condition and code, stage by stage."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from morphoscope.configs import UserError
from morphoscope.configs.projection import Projecting
from morphoscope.generate.latents import ProjectedPhotograph
from morphoscope.generate.metrics.perceptual import PerceptualNetwork, as_tensor
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.networks.synthesis import SynthesisNetwork
from morphoscope.generate.projection.candidates import Candidates, Starts
from morphoscope.generate.projection.codes import (
    CodeDistribution,
    MappedCodes,
    WhitenedCodes,
    named_mixture,
)
from morphoscope.generate.projection.measures import Found, measured
from morphoscope.generate.projection.noise import Maps, noise_maps, of_start
from morphoscope.generate.projection.photograph import Photograph
from morphoscope.generate.projection.stages import (
    Seen,
    Target,
    project_to_w,
    project_to_w_plus,
    rendered,
    tune,
)

Stage = Literal["search", "w", "w_plus", "tuned"]
Observer = Callable[[Stage, Seen], None]


@dataclass(frozen=True)
class Projection:
    """A photograph in a generator.

    Attributes:
        photograph: what was projected.
        end: where it was found, an end of morphs.
        found: what each stage found, in order.
        code_distance: Mahalanobis distance of the pivot in W from the codes of its condition, near 1 for
            codes of the mapping.
        code_percentile: percentage of such codes that are nearer to the mean, 0 to 100.
    """

    photograph: Photograph
    end: ProjectedPhotograph
    found: dict[Stage, Found]
    code_distance: float
    code_percentile: float

    @property
    def last(self) -> Found:
        """The result of the last stage."""
        return list(self.found.values())[-1]


class Projector:
    """Projects photographs with one model, one perceptual network and one set of settings."""

    def __init__(self, model: GeneratorModel, network: PerceptualNetwork, settings: Projecting) -> None:
        """Draw the candidates, which all photographs share.

        Raises:
            UserError: a condition that the model lacks, or a condition and a mixture.
        """
        check_projection(model, settings)
        self.model, self.network, self.settings = model, network, settings
        self.distribution = CodeDistribution.of(model)
        self._candidates = Candidates(model, network, settings.candidates, settings.seed)

    @property
    def steps(self) -> int:
        """The number of steps that one projection takes."""
        s = self.settings
        return self.pivot_steps + {"w": 0, "w_plus": s.w_plus_steps, "tuned": s.tuning_steps}[s.space]

    @property
    def pivot_steps(self) -> int:
        """The number of steps to the code in W."""
        return self.settings.search_steps + self.settings.w_steps

    def project(self, photograph: Photograph, observe: Observer | None = None) -> Projection:
        """Find a photograph.

        The result depends on the photograph, the model and the settings alone.

        Args:
            observe: called after each step.
        """
        work = _Work(self, photograph, observe or _ignore)
        work.find_pivot()
        if self.settings.space == "w_plus":
            work.spread_over_layers()
        elif self.settings.space == "tuned":
            work.tune_weights()
        return work.projection()

    def pivot_distance(self, photograph: Photograph, observe: Observer | None = None) -> float:
        """The perceptual distance of a photograph from what W can show, as `project` finds it."""
        work = _Work(self, photograph, observe or _ignore)
        work.find_pivot()
        return work.found["w"].perceptual

    def starts(self, photograph: torch.Tensor) -> Starts:
        """The candidates nearest to float32 [1, 3, R, R]: of the given condition, or of all."""
        name = self.settings.condition
        index = None if name is None else self.model.conditions.index(name)
        return self._candidates.nearest(photograph, self.settings.starts, index)


def check_projection(model: GeneratorModel, settings: Projecting) -> None:
    """Raise UserError for conditions that the model lacks, and for a condition together with a mixture."""
    for name in filter(None, [settings.condition, *settings.to]):
        model.label(name)
    if settings.condition is not None and settings.mixture:
        raise UserError("Give either a condition or mixture=true, which optimises the mixture of conditions.")


class _Work:
    """One projection, stage by stage."""

    def __init__(self, projector: Projector, photograph: Photograph, observe: Observer) -> None:
        self.projector, self.photograph, self.observe = projector, photograph, observe
        self.settings, self.distribution = projector.settings, projector.distribution
        self.network: SynthesisNetwork = projector.model.G.synthesis
        device = projector.model.class_means.device
        self.target = Target(projector.network, as_tensor(photograph.pixels[None], device))
        self.randomness = torch.Generator().manual_seed(self.settings.seed)
        self.found: dict[Stage, Found] = {}
        self.maps: Maps = {}
        self.label = self.w = self.ws = torch.zeros(0)
        self._since = time.monotonic()

    def find_pivot(self) -> None:
        """The search among the starts, then the best one alone, in W."""
        starts = self.projector.starts(self.target.photograph)
        codes: WhitenedCodes | MappedCodes
        if self.settings.mixture:
            codes = MappedCodes(self.projector.model.G.mapping, starts.labels, starts.z)
        else:
            codes = WhitenedCodes(self.distribution, starts.labels, starts.w)
        maps = noise_maps(self.network, len(starts.w)) if self.settings.noise else {}
        losses = self._in_w("search", codes, maps, self.settings.search_steps)
        best = int(losses.argmin())
        self.label = codes.labels[best : best + 1].detach()
        self._keep("search", codes.codes()[best : best + 1].detach(), of_start(maps, best))

        codes = WhitenedCodes(self.distribution, self.label, self.w)
        for noise in self.maps.values():
            noise.requires_grad_()
        self._in_w("w", codes, self.maps, self.settings.w_steps)
        self._keep("w", codes.codes().detach(), of_start(self.maps, 0))

    def spread_over_layers(self) -> None:
        """From the pivot on, a code for each layer."""
        for noise in self.maps.values():
            noise.requires_grad_()
        self.ws = project_to_w_plus(
            self.network,
            self.target,
            self.w,
            self.distribution,
            self.maps,
            self.settings.w_plus_steps,
            lambda seen: self.observe("w_plus", seen),
        )
        self.maps = of_start(self.maps, 0)
        self._record("w_plus")

    def tune_weights(self) -> None:
        """From the pivot on, the weights."""
        self.network = tune(
            self.network,
            self.target,
            self.w,
            self.maps,
            self.settings.tuning_steps,
            lambda seen: self.observe("tuned", seen),
        )
        self._record("tuned")

    def projection(self) -> Projection:
        """What was found."""
        model, settings = self.projector.model, self.settings
        distance = float(self.distribution.distance(self.w, self.label))
        percentile = self.distribution.percentile(self.w, self.label)
        end = ProjectedPhotograph(
            self.photograph.digest,
            model.digest,
            settings.space,
            named_mixture(self.label[0].cpu().numpy(), model.conditions),
            self.ws[0].clone(),
            self._replaced(),
            {
                "network": self.projector.network.name,
                "settings": settings.model_dump(mode="json"),
                "stages": {name: found.as_json() for name, found in self.found.items()},
                "code_distance": distance,
                "code_percentile": percentile,
            },
        )
        return Projection(self.photograph, end, self.found, distance, percentile)

    def _replaced(self) -> dict[str, torch.Tensor]:
        """The tensors of the synthesis network that are not the generator's: noise maps and tuned weights."""
        maps = {name: noise[0, 0] for name, noise in self.maps.items()}
        if self.settings.space != "tuned":
            return maps
        return maps | {name: weight.detach() for name, weight in self.network.named_parameters()}

    def _in_w(self, stage: Stage, codes: WhitenedCodes | MappedCodes, maps: Maps, steps: int) -> torch.Tensor:
        return project_to_w(
            self.network,
            self.target,
            codes,
            maps,
            steps,
            self.randomness,
            lambda seen: self.observe(stage, seen),
        )

    def _keep(self, stage: Stage, w: torch.Tensor, maps: Maps) -> None:
        self.w, self.maps = w, maps
        self.ws = w[:, None].expand(-1, self.network.num_ws, -1)
        self._record(stage)

    @torch.no_grad()
    def _record(self, stage: Stage) -> None:
        images = rendered(self.network, self.ws, self.maps)
        self.found[stage] = measured(self.target, images, time.monotonic() - self._since)
        self._since = time.monotonic()


def _ignore(stage: Stage, seen: Seen) -> None:
    """Observes nothing."""
