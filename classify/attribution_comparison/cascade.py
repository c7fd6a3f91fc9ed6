"""How attribution maps change as a network is re-initialised stage by stage, from the head to the input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from morphoscope.classify.attribution_comparison.sanity import cascade, similarity, stages
from morphoscope.classify.ensemble import Ensemble
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.runtime import write_atomically
from morphoscope.runtime.progress import track
from morphoscope.runtime.reporting.plots import colour
from morphoscope.runtime.statistics import Estimate, format_estimate, mean_with_interval


class Original(NamedTuple):
    """The maps of an image before any layer is re-initialised.

    Attributes:
        file: name of the image.
        maps: float32 [R, R] by method.
        recompute: gives the same maps of another ensemble.
    """

    file: str
    maps: Mapping[str, np.ndarray]
    recompute: Callable[[Ensemble], Mapping[str, np.ndarray]]


class StageScore(NamedTuple):
    """A row of cascade.csv: one image's map by one method after one stage, compared with the original map.

    Attributes:
        stage: number, from 1.
        layers: those re-initialised in this stage.
        file, method: the image's name and the method's.
        rank_random, absolute_random, ssim_random: see `Similarity`.
    """

    stage: int
    layers: str
    file: str
    method: str
    rank_random: float
    absolute_random: float
    ssim_random: float


class StageSimilarity(NamedTuple):
    """Means over the images, None for fewer than two; of absolute values, since signs alone change easily."""

    absolute_random: Estimate | None
    ssim_random: Estimate | None


MEASURES = {"absolute_random": "rank, absolute", "ssim_random": "SSIM, absolute"}
"""Titles of the fields of `StageSimilarity`."""


@dataclass(frozen=True)
class StageSummary:
    """A stage of the cascade: its number from 1, its layers, and by method the similarity to the original."""

    stage: int
    layers: str
    methods: dict[str, StageSimilarity]


@dataclass(frozen=True)
class Cascade:
    """Similarity of the maps to the original ones, after each stage.

    Attributes:
        scores: one row per stage, image and method, with the columns of `StageScore`.
    """

    scores: pd.DataFrame

    @cached_property
    def summary(self) -> list[StageSummary]:
        """The stages in their order."""
        return [
            StageSummary(
                number,
                str(stage["layers"].iloc[0]),
                {
                    str(method): StageSimilarity(
                        *(mean_with_interval(rows[name].to_numpy()) for name in MEASURES)
                    )
                    for method, rows in stage.groupby("method", sort=False)
                },
            )
            for number, (_, stage) in enumerate(self.scores.groupby("stage"), 1)
        ]

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.scores["file"].nunique())

    def markdown(self) -> str:
        """A table for each measure, and how to read it."""
        methods = list(self.summary[0].methods)
        lines = []
        for measure, title in MEASURES.items():
            lines += ["", f"| re-initialised up to ({title}) | " + " | ".join(methods) + " |"]
            lines.append("|---" * (len(methods) + 1) + "|")
            for stage in self.summary:
                means = (getattr(stage.methods[method], measure) for method in methods)
                cells = " | ".join(format_estimate(mean, digits=2) for mean in means)
                lines.append(f"| {stage.stage}. {stage.layers} | {cells} |")
        notes = (
            "Cascading randomisation: the layers of one fold's model are re-initialised from the head to the "
            "input, each stage on top of the previous ones. The tables show the similarity of the maps to "
            f"those of the trained model: means of {self.images} images with 95% intervals. A map that "
            "hardly changes shows the image rather than what the model has learnt."
        )
        return "\n".join([*lines, "", notes]) + "\n"

    def facts(self) -> list[dict[str, Any]]:
        """The summary as JSON-able numbers."""
        return [
            {
                "stage": stage.stage,
                "layers": stage.layers,
                "methods": {method: estimate_facts(found) for method, found in stage.methods.items()},
            }
            for stage in self.summary
        ]

    def write(self, folder: Path) -> None:
        """Write cascade.csv (every image) and cascade.png (curves) into `folder`."""
        write_csv(folder / "cascade.csv", self.scores)
        figure = Figure(figsize=(4.4 * len(MEASURES), 4.2), dpi=130, layout="constrained")
        numbers = [0, *(stage.stage for stage in self.summary)]
        names = ["trained", *(stage.layers.replace(", ", "\n") for stage in self.summary)]
        panels = figure.subplots(1, len(MEASURES), sharey=True)
        for axes, (measure, title) in zip(panels, MEASURES.items(), strict=True):
            for number, method in enumerate(self.summary[0].methods):
                found = [getattr(stage.methods[method], measure) for stage in self.summary]
                values, lows, highs = np.array([one or (np.nan,) * 3 for one in [(1, 1, 1), *found]]).T
                axes.plot(numbers, values, "o-", ms=3, color=colour(number), label=method)
                axes.fill_between(numbers, lows, highs, color=colour(number), alpha=0.12, lw=0)
            axes.axhline(0, color="#9aa5aa", lw=0.8)
            axes.set_xticks(numbers, names, rotation=45, ha="right", fontsize=7)
            axes.set_title(f"similarity to the trained model's map: {title}", fontsize=9)
        panels[0].legend(frameon=False, fontsize=7)
        with write_atomically(folder / "cascade.png") as temporary:
            figure.savefig(temporary)


def run_cascade(ensemble: Ensemble, originals: Sequence[Original], seed: int) -> Cascade:
    """Recompute all original maps after each stage of the cascade.

    Args:
        ensemble: that of the original maps, with a single fold.
        originals: at least one.
        seed: of the random weights.
    """
    scores = []
    count = len(stages(ensemble.models[0].backbone))
    steps = track(cascade(ensemble, seed), "Re-initialising layers", total=count)
    for number, (layers, changed) in enumerate(steps, 1):
        for one in originals:
            for method, changed_map in one.recompute(changed).items():
                found = similarity(one.maps[method], changed_map)
                scores.append(StageScore(number, layers, one.file, method, *found))
    return Cascade(pd.DataFrame(scores))


def estimate_facts(row: NamedTuple) -> dict[str, dict[str, float] | None]:
    """A row of estimates as JSON: by field {"value", "low", "high"}, or None where there is no estimate."""
    return {name: found and found._asdict() for name, found in row._asdict().items()}
