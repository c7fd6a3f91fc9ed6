"""Results of a comparison of attribution methods: one table, its notes, and the files of a run."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from morphoscope.classify.attribution_comparison.cascade import Cascade, estimate_facts
from morphoscope.classify.attribution_comparison.examples import Example, draw_examples
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.configs.views import View
from morphoscope.runtime import write_text
from morphoscope.runtime.statistics import Estimate, format_estimate, mean_with_interval, proportion

CONTROL = "random"
MEASURES = {
    "pointing": "points at lesion",
    "inside": "inside lesion mask",
    "deletion": "deletion ↓",
    "insertion": "insertion ↑",
    "agreement": "folds agree",
    "rank_random": "random weights: rank",
    "absolute_random": "… rank, absolute",
    "ssim_random": "… SSIM, absolute",
    "error": "integral's error",
}
"""Titles of the fields of `MethodSummary`."""


class MapScore(NamedTuple):
    """A row of scores.csv: one method's map of one image. NaN: no mask, one fold only, or no integral.

    Attributes:
        file, condition, method: names of the image, its true condition and the method.
        pointing: 1 if the maximum of the map is inside the lesion mask, else 0.
        inside: proportion of the positive attribution inside the lesion mask, in [0, 1].
        deletion, insertion: areas under the curves, in [0, 1].
        agreement: `Attribution.agreement`.
        rank_random, absolute_random, ssim_random: `Similarity` to the map of random weights.
        error: largest convergence delta over the mean difference, both as absolute values.
        area: fraction of the image that the mask covers, in [0, 1].
        seen: whether a model was trained or validated on the image; None if that is not known.
    """

    file: str
    condition: str
    method: str
    pointing: float
    inside: float
    deletion: float
    insertion: float
    agreement: float
    rank_random: float
    absolute_random: float
    ssim_random: float
    error: float
    area: float
    seen: bool | None


class MethodSummary(NamedTuple):
    """Mean of each measure over the images; None if fewer than two images have it."""

    pointing: Estimate | None
    inside: Estimate | None
    deletion: Estimate | None
    insertion: Estimate | None
    agreement: Estimate | None
    rank_random: Estimate | None
    absolute_random: Estimate | None
    ssim_random: Estimate | None
    error: Estimate | None


@dataclass(frozen=True)
class Setting:
    """What was compared; written to table.json.

    Attributes:
        images: number of images.
        rows: "test" or "all".
        view: only images of this view; None: of all.
        seen: how many of the images a model was trained or validated on; None if that is not known.
        cohort, cohort_digest: the cohort's folder name and digest.
        phantom: whether the ensemble was trained on phantoms.
        replacement: baseline that replaced deleted pixels.
        sanity: which weights were random.
    """

    images: int
    rows: str
    view: View | None
    seen: int | None
    cohort: str
    cohort_digest: str
    phantom: bool
    replacement: str
    sanity: str


@dataclass(frozen=True)
class ComparedMaps:
    """Scores of each method on each image.

    Attributes:
        scores: one row per image and method, with the columns of `MapScore`.
        examples: a few images with their maps.
        setting: what was compared.
        cascade: similarity of some maps under cascading randomisation; None if it was left out.
    """

    scores: pd.DataFrame
    examples: list[Example]
    setting: Setting
    cascade: Cascade | None = None

    @cached_property
    def summary(self) -> dict[str, MethodSummary]:
        """The mean of each measure over the images, by method."""
        return {
            str(method): MethodSummary(*(_mean(rows[measure].to_numpy(), measure) for measure in MEASURES))
            for method, rows in self.scores.groupby("method", sort=False)
        }

    @property
    def chance(self) -> float | None:
        """Mean fraction of the image that the lesion covers: the expected `inside` of a random map."""
        areas = self.scores["area"].dropna()
        return float(areas.mean()) if len(areas) else None

    @property
    def warning(self) -> str | None:
        """A warning if the models have seen some of the images, or if that is not known; else None."""
        seen = self.setting.seen
        if seen is None:
            return (
                "It is not known whether the models were trained on these images: the ensemble's file does "
                "not list its training images."
            )
        if not seen:
            return None
        return (
            f"The ensemble was trained or validated on {seen} of these {self.setting.images} images (`seen` "
            "in scores.csv). It is more confident about them than about new images, which affects deletion "
            "and insertion, and its maps may show memorised details. Report results on images that no model "
            "has seen."
        )

    def markdown(self) -> str:
        """The table, and how to read it."""
        lines = [
            "| method | " + " | ".join(MEASURES.values()) + " |",
            "|---" * (len(MEASURES) + 1) + "|",
            *(
                f"| {name} | " + " | ".join(format_estimate(found, digits=2) for found in row) + " |"
                for name, row in self.summary.items()
            ),
        ]
        chance = "no image has a mask" if self.chance is None else f"chance level {self.chance:.3f}"
        notes = (
            f"{self.setting.images} images, one per patient; evidence for the true condition; means with "
            "95% intervals. Points at lesion: the maximum of the map is inside the lesion mask. Inside "
            f"lesion mask: proportion of the positive attribution; {chance}. Deletion and insertion: area "
            "under the ensemble's mean probability while pixels are deleted or inserted, the most important "
            f"first, with baseline '{self.setting.replacement}' in their place. Folds agree: mean rank "
            f"correlation between their maps. Random weights: {self.setting.sanity}; the similarity should "
            "be near 0. Integral's error: largest convergence delta of a model and baseline over their mean "
            f"difference. `{CONTROL}` is a map of noise, the control."
        )
        warning = "" if self.warning is None else f"**Warning.** {self.warning}\n\n"
        cascade = "" if self.cascade is None else self.cascade.markdown()
        return warning + "\n".join(lines) + "\n\n" + notes + "\n" + cascade

    def write(self, folder: Path) -> None:
        """Write table.md, table.csv, table.json, scores.csv (every image) and examples.png into `folder`.

        With a cascade, cascade.csv and cascade.png as well.
        """
        folder, summary = Path(folder), self.summary
        write_text(folder / "table.md", self.markdown())
        write_csv(folder / "table.csv", self._table())
        write_csv(folder / "scores.csv", self.scores)
        content = {
            **asdict(self.setting),
            "lesion_area": self.chance,
            "methods": {name: estimate_facts(row) for name, row in summary.items()},
        }
        if self.cascade is not None:
            content["cascade"] = self.cascade.facts()
            self.cascade.write(folder)
        write_text(folder / "table.json", json.dumps(content, indent=2) + "\n")
        draw_examples(folder / "examples.png", self.examples)

    def _table(self) -> pd.DataFrame:
        """One row per method; each measure has its mean and the ends of its interval: x, x_low, x_high."""
        rows = []
        for method, row in self.summary.items():
            cells: dict[str, str | float] = {"method": method}
            for measure, found in row._asdict().items():
                ends = found or Estimate(np.nan, np.nan, np.nan)
                cells |= {measure: ends.value, f"{measure}_low": ends.low, f"{measure}_high": ends.high}
            rows.append(cells)
        return pd.DataFrame(rows)


def _mean(values: np.ndarray, measure: str) -> Estimate | None:
    """Mean over the images with its 95% interval: Wilson's for the pointing game, else from a bootstrap."""
    values = values[~np.isnan(values)]
    if measure == "pointing" and len(values) > 1:
        return proportion(int(values.sum()), len(values))
    return mean_with_interval(values)
