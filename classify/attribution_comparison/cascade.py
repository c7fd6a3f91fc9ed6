"""How a map falls apart as a network is drawn anew layer by layer, from the head towards the input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.progress import track

from morphoscope.classify.attribution_comparison.sanity import cascade, similarity, stages
from morphoscope.classify.ensemble import Ensemble
from morphoscope.runtime import write_atomically
from morphoscope.runtime.reporting.plots import colour
from morphoscope.runtime.statistics import format_estimate, mean_with_interval

MEASURES = {"absolute_random": "rank, absolute", "ssim_random": "SSIM, absolute"}
"""Those of the cascade: of absolute values, since what destroys the sign alone may leave the picture."""


class Original(NamedTuple):
    """An image's maps before any layer is drawn anew.

    Attributes:
        file: of what.
        maps: method -> float32 [R, R].
        again: the same of other models.
    """

    file: str
    maps: Mapping[str, np.ndarray]
    again: Callable[[Ensemble], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Cascade:
    """What became of the maps.

    Attributes:
        scores: one row a stage, image and method: stage (from 1), layers (those drawn anew in it), file,
            method, and `similarity` to the original map.
    """

    scores: pd.DataFrame

    @cached_property
    def summary(self) -> list[dict[str, Any]]:
        """Each stage's number, layers and {method: {measure: mean over the images or None}}."""
        return [
            {
                "stage": number,
                "layers": stage["layers"].iloc[0],
                "methods": {
                    str(method): {
                        measure: mean_with_interval(rows[measure].to_numpy()) for measure in MEASURES
                    }
                    for method, rows in stage.groupby("method", sort=False)
                },
            }
            for number, (_, stage) in enumerate(self.scores.groupby("stage"), 1)
        ]

    @property
    def images(self) -> int:
        """How many were looked at."""
        return int(self.scores["file"].nunique())

    def markdown(self) -> str:
        """A table for each measure."""
        methods = list(self.summary[0]["methods"])
        lines = []
        for measure, title in MEASURES.items():
            lines += ["", f"| drawn anew, up to ({title}) | " + " | ".join(methods) + " |"]
            lines.append("|---" * (len(methods) + 1) + "|")
            for stage in self.summary:
                means = (format_estimate(stage["methods"][method][measure], digits=2) for method in methods)
                lines.append(f"| {stage['stage']}. {stage['layers']} | {' | '.join(means)} |")
        notes = (
            "Cascading randomisation: layers drawn anew from the head towards the input, one stage on top of "
            f"the other, and the similarity of that fold's map to what it was; {self.images} images, means "
            "with 95% intervals. A map that hardly changes shows the image rather than what was learnt."
        )
        return "\n".join([*lines, "", notes]) + "\n"

    def facts(self) -> list[dict[str, Any]]:
        """The summary as JSON-able numbers."""
        return [
            {
                **stage,
                "methods": {
                    method: {measure: estimate and estimate._asdict() for measure, estimate in found.items()}
                    for method, found in stage["methods"].items()
                },
            }
            for stage in self.summary
        ]

    def write(self, folder: Path) -> None:
        """Write cascade.csv (every image) and cascade.png (curves) into `folder`."""
        with write_atomically(folder / "cascade.csv") as temporary:
            self.scores.to_csv(temporary, index=False, float_format="%.6f")
        figure = Figure(figsize=(4.4 * len(MEASURES), 4.2), dpi=130, layout="constrained")
        numbers = [0, *(stage["stage"] for stage in self.summary)]
        names = ["trained", *(stage["layers"].replace(", ", "\n") for stage in self.summary)]
        panels = figure.subplots(1, len(MEASURES), sharey=True)
        for axes, (measure, title) in zip(panels, MEASURES.items(), strict=True):
            for number, method in enumerate(self.summary[0]["methods"]):
                found = [stage["methods"][method][measure] for stage in self.summary]
                values, lows, highs = np.array([one or (np.nan,) * 3 for one in [(1, 1, 1), *found]]).T
                axes.plot(numbers, values, "o-", ms=3, color=colour(number), label=method)
                axes.fill_between(numbers, lows, highs, color=colour(number), alpha=0.12, lw=0)
            axes.axhline(0, color="#9aa5aa", lw=0.8)
            axes.set_xticks(numbers, names, rotation=45, ha="right", fontsize=7)
            axes.set_title(f"similarity to the map before: {title}", fontsize=9)
        panels[0].legend(frameon=False, fontsize=7)
        with write_atomically(folder / "cascade.png") as temporary:
            figure.savefig(temporary)


def run_cascade(ensemble: Ensemble, originals: Sequence[Original], seed: int) -> Cascade:
    """Make all original maps anew after every stage of `ensemble`'s cascade."""
    rows = []
    count = len(stages(ensemble.models[0].backbone))
    steps = track(cascade(ensemble, seed), "Drawing layers anew", total=count, transient=True)
    for number, (layers, changed) in enumerate(steps, 1):
        for one in originals:
            for method, changed_map in one.again(changed).items():
                facts = {"stage": number, "layers": layers, "file": one.file, "method": method}
                rows.append({**facts, **similarity(one.maps[method], changed_map)})
    return Cascade(pd.DataFrame(rows))
