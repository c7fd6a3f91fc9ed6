"""Whether a photograph lies outside what the model can show: against held-out photographs of its cohort."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from morphoscope.cohort import Cohort
from morphoscope.configs.user_files import read_regular
from morphoscope.generate.metrics.comparison import real_rows
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.projection.photograph import Photograph
from morphoscope.generate.projection.projector import Projection, Projector
from morphoscope.runtime import RunFolder
from morphoscope.runtime.progress import working

_DISTANCES = "held-out.jsonl"
_MOST_BYTES = 2**20

OUTSIDE = 95.0
"""Percentile beyond which a photograph or its code counts as outside."""


def held_out_photographs(model: GeneratorModel, cohort: Cohort, number: int) -> list[Photograph]:
    """Up to `number` photographs of the test fold, one per patient, in a fixed random order.

    Raises:
        UserError: no such photograph, or the generator was trained on that fold.
    """
    rows = real_rows(cohort, "test", model.metadata)
    shuffled = rows.rows.sample(frac=1, random_state=0)
    chosen = rows.select(shuffled[~shuffled["group"].duplicated()].index.to_numpy()[:number])
    images = chosen.images(model.resolution, model.metadata.fit)
    return [
        Photograph(digest, np.array(image)) for digest, image in zip(chosen.image_hashes, images, strict=True)
    ]


def known_distances(projector: Projector, photographs: Sequence[Photograph], run: RunFolder) -> list[float]:
    """The perceptual distance of each photograph from what W can show.

    Those that the run folder's held-out.jsonl lists already are not computed again.
    """
    run.forget_after("distance", math.inf, files=_DISTANCES)  # removes a line that a kill cut short
    path = run.path / _DISTANCES
    known: dict[str, float] = {}
    if path.exists():
        lines = read_regular(path, _MOST_BYTES).decode().splitlines()
        known = {entry["photograph"]: float(entry["distance"]) for entry in map(json.loads, lines)}
    left = [photograph for photograph in photographs if photograph.digest not in known]
    total = len(left) * projector.pivot_steps
    with working(f"Projecting {len(left)} held-out photographs", total, unit="steps") as work:
        for photograph in left:
            known[photograph.digest] = projector.pivot_distance(photograph, lambda *_: work.advance())
            run.append(_DISTANCES, photograph=photograph.digest, distance=known[photograph.digest])
    return [known[photograph.digest] for photograph in photographs]


@dataclass(frozen=True)
class Outside:
    """Where a projection lies among what the model can show.

    Attributes:
        held_out: number of held-out photographs it was compared with; 0 if there was no cohort.
        distance_percentile: percentage of them that W shows better, 0 to 100; None without a cohort.
        code_percentile: percentage of the mapping's codes of the condition that are nearer to their mean.
    """

    held_out: int
    distance_percentile: float | None
    code_percentile: float

    @classmethod
    def of(cls, projection: Projection, held_out: Sequence[float]) -> "Outside":
        """Compare the distance of the pivot in W with those of held-out photographs."""
        distance = projection.found["w"].perceptual
        better = None
        if held_out:
            better = 100 * sum(other < distance for other in held_out) / len(held_out)
        return cls(len(held_out), better, projection.code_percentile)

    @property
    def is_outside(self) -> bool:
        """Whether the percentile of the distance, or without a cohort that of the code, exceeds 95.

        Real photographs often have rarer codes than generated images have, so that the code alone decides
        only where there is nothing better.
        """
        deciding = self.code_percentile if self.distance_percentile is None else self.distance_percentile
        return deciding > OUTSIDE

    @property
    def message(self) -> str:
        """What was found, in a sentence or two."""
        code = f"{self.code_percentile:.0f}% of the generator's codes are nearer to the mean"
        verdict = "outside" if self.is_outside else "within"
        start = f"The photograph lies {verdict} what this generator can show"
        if self.distance_percentile is None:
            return f"{start}, by its code alone: {code}. --cohort compares it with held-out photographs."
        share = f"{self.distance_percentile:.0f}% of {self.held_out} held-out photographs"
        return f"{start}: it shows {share} better, and {code}."

    def as_json(self) -> dict[str, Any]:
        """All values by name."""
        return {
            "held_out": self.held_out,
            "distance_percentile": self.distance_percentile,
            "code_percentile": self.code_percentile,
            "outside": self.is_outside,
            "message": self.message,
        }
