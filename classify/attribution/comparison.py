"""Which method to believe: all of them on the same images, in one table, with a random map as control."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from PIL import Image
from rich.progress import track
from scipy.stats import bootstrap

from morphoscope.classify.attribution.examples import Example, draw_examples
from morphoscope.classify.attribution.faithfulness import curves, replaced
from morphoscope.classify.attribution.localisation import points_at, share_inside
from morphoscope.classify.attribution.maps import Attribution, rank_correlation
from morphoscope.classify.attribution.sanity import randomised, structural_similarity
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.statistics import Estimate, proportion
from morphoscope.cohort import TEST_FOLD, Cohort, read_image, square
from morphoscope.configs import UserError
from morphoscope.configs.attribution import AttributionSettings, MapComparison, Method
from morphoscope.ops.runtime import write_atomically, write_text

CONTROL = "random"
MEASURES = {
    "pointing": "points at lesion",
    "inside": "share in lesion",
    "deletion": "deletion ↓",
    "insertion": "insertion ↑",
    "agreement": "folds agree",
    "rank_random": "random weights: rank",
    "absolute_random": "… rank, absolute",
    "ssim_random": "… SSIM, absolute",
    "error": "integral's error",
}
_EXAMPLES = 7
_REPLICATES = 2000


@dataclass(frozen=True)
class ComparedMaps:
    """What each method did on each image.

    Attributes:
        scores: one row an image and method: file, condition, method, the columns of `MEASURES` (NaN where
            they mean nothing: no mask, no integral), and `area`, the mask's share of the image.
        examples: a few images with their maps.
        facts: which rows of which cohort, and what of the ensemble.
    """

    scores: pd.DataFrame
    examples: list[Example]
    facts: dict[str, Any]

    @cached_property
    def summary(self) -> dict[str, dict[str, Estimate | None]]:
        """Method -> measure -> its mean over the images with a 95% interval; None where it means nothing."""
        return {
            str(method): {measure: _mean(rows[measure].to_numpy(), measure) for measure in MEASURES}
            for method, rows in self.scores.groupby("method", sort=False)
        }

    @property
    def chance(self) -> float | None:
        """Mean share of an image that its lesion covers: what "in the lesion" would be by chance."""
        areas = self.scores["area"].dropna()
        return float(areas.mean()) if len(areas) else None

    def markdown(self) -> str:
        """The table, and what is to be read in it."""
        lines = [
            "| method | " + " | ".join(MEASURES.values()) + " |",
            "|---" * (len(MEASURES) + 1) + "|",
            *(
                f"| {name} | " + " | ".join(shown(estimate) for estimate in row.values()) + " |"
                for name, row in self.summary.items()
            ),
        ]
        chance = "no image has a mask" if self.chance is None else f"by chance {self.chance:.3f}"
        notes = (
            f"{self.facts['images']} images, one a patient; evidence for the true condition; means with 95% "
            f"intervals. Lesion: {chance}. Deletion and insertion: area under the ensemble's mean "
            "probability while pixels are taken away or put back, the most important first; what is away is "
            f"{self.facts['replacement']}. Folds agree: mean rank correlation between their maps. "
            f"Random weights: {self.facts['sanity']}; 0 is unrelated, as it should be. "
            f"Integral's error: convergence delta over difference. `{CONTROL}` is noise, the control."
        )
        return "\n".join(lines) + "\n\n" + notes + "\n"

    def write(self, folder: Path) -> None:
        """Write table.md, table.csv, table.json, scores.csv (every image) and examples.png into `folder`."""
        folder, summary = Path(folder), self.summary
        write_text(folder / "table.md", self.markdown())
        wide = pd.DataFrame(
            {
                measure + suffix: {name: getattr(row[measure], part, None) for name, row in summary.items()}
                for measure in MEASURES
                for suffix, part in (("", "value"), ("_low", "low"), ("_high", "high"))
            }
        )
        for name, frame in (
            ("table.csv", wide.rename_axis("method").reset_index()),
            ("scores.csv", self.scores),
        ):
            with write_atomically(folder / name) as temporary:
                frame.to_csv(temporary, index=False, float_format="%.6f")
        methods = {
            name: {measure: estimate and estimate._asdict() for measure, estimate in row.items()}
            for name, row in summary.items()
        }
        content = {**self.facts, "lesion_area": self.chance, "methods": methods}
        write_text(folder / "table.json", json.dumps(content, indent=2) + "\n")
        draw_examples(folder / "examples.png", self.examples)


def shown(estimate: Estimate | None) -> str:
    """ "0.41 (0.35 to 0.47)", or a dash."""
    if estimate is None:
        return "–"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def compare_maps(ensemble: Ensemble, cohort: Cohort, config: MapComparison) -> ComparedMaps:
    """Try the methods on labelled images, for the true condition's probability.

    Random weights cost a second map: it is made for the first fold alone, and compared with that fold's map.

    Raises:
        UserError: a dual-view ensemble, a condition that the ensemble does not know, or no image in the rows
            asked for.
    """
    if ensemble.dual:
        raise UserError("Maps are compared on single images, but this ensemble judges pairs of them.")
    unknown = sorted(set(cohort.rows["condition"]) - set(ensemble.conditions))
    if unknown:
        raise UserError(
            f"{cohort.root}: the ensemble does not know {', '.join(unknown)}; it knows {ensemble.conditions}."
        )
    chosen = choose(cohort, config.rows, config.images, config.seed)
    images = cohort.images(ensemble.resolution, ensemble.config.fit)
    first = ensemble.fold(ensemble.folds[0])
    untrained = randomised(first, config.seed)
    rows: list[dict[str, Any]] = []
    examples: list[Example] = []
    for index in track(chosen, description="Comparing maps", transient=True):
        condition = cohort.rows["condition"].iloc[index]
        trial = _Trial(ensemble, np.array(images[index]), condition, _mask(cohort, index, ensemble), config)
        facts = {"file": cohort.rows["file"].iloc[index], "condition": condition}
        maps = {}
        for name in dict.fromkeys(config.methods):
            found = trial.attribute(ensemble, name)
            destroyed = _similarity(found.per_fold[0], trial.attribute(untrained, name).per_fold[0])
            rows.append({**facts, "method": name, **trial.scores(found.map), **destroyed, **_integral(found)})
            maps[name] = (found.map, found.signed)
        shape = (3, ensemble.resolution, ensemble.resolution)
        noise, own, other = np.random.default_rng([config.seed, index]).random(shape, dtype=np.float32)
        rows.append({**facts, "method": CONTROL, **trial.scores(noise), **_similarity(own, other)})
        if len(examples) < _EXAMPLES:
            examples.append(Example(trial.image, condition, trial.mask, {**maps, CONTROL: (noise, False)}))
    frame = pd.DataFrame(rows, columns=["file", "condition", "method", *MEASURES, "area"])
    facts = {
        "images": len(chosen),
        "rows": config.rows,
        "cohort": cohort.root.name,
        "cohort_digest": cohort.digest,
        "phantom": ensemble.metadata.get("phantom", False),
        "replacement": config.replacement,
        "sanity": f"all weights of fold {first.folds[0]} drawn anew, compared with that fold's map",
    }
    return ComparedMaps(frame, examples, facts)


def choose(cohort: Cohort, rows: str, count: int, seed: int) -> list[int]:
    """Row numbers of at most `count` images, the conditions in turn, no two of one patient.

    Raises:
        UserError: there is none.
    """
    table = cohort.rows.reset_index(names="index")
    if rows == "test":
        table = table[table["fold"] == TEST_FOLD]
    table = table.sample(frac=1, random_state=seed).drop_duplicates("group")
    if table.empty:
        raise UserError(
            f"{cohort.root}: no image to look at (rows '{rows}'); split off a test fold, or use all."
        )
    turn = table.groupby("condition").cumcount()
    ordered = table.assign(turn=turn).sort_values(["turn", "condition"])
    return [int(index) for index in ordered["index"].head(count)]


def _mask(cohort: Cohort, index: int, ensemble: Ensemble) -> np.ndarray | None:
    """The lesion in the square that the models see, bool [R, R]; None if it is not known."""
    name = cohort.rows["mask"].iloc[index] if "mask" in cohort.rows.columns else ""
    if not name:
        return None
    whole = Image.fromarray(read_image(cohort.store.read(name), name))
    return square(whole, ensemble.resolution, ensemble.config.fit)[..., 0] > 127


@dataclass(frozen=True)
class _Trial:
    """One image on which the methods are tried: uint8 [R, R, 3], its true condition, its lesion if known."""

    ensemble: Ensemble
    image: np.ndarray
    condition: str
    mask: np.ndarray | None
    config: MapComparison

    def attribute(self, ensemble: Ensemble, name: str) -> Attribution:
        """The map of `ensemble` by "method" or "method:baseline"."""
        method, _, baseline = name.partition(":")
        options = self.config.model_dump(include=set(AttributionSettings.model_fields))
        if baseline:
            options["baseline"] = baseline
        return ensemble.attribute(self.image, self.condition, cast(Method, method), **options)

    def scores(self, attribution: np.ndarray) -> dict[str, float]:
        """What the classifier and the mask say of a map."""
        replacement = replaced(self.image, self.config.replacement)
        found = curves(
            self._probability, self.image, attribution, replacement, self.config.points, self.config.seed
        )
        scores = {"deletion": found.deleted, "insertion": found.inserted}
        if self.mask is not None:
            scores["pointing"] = float(points_at(attribution, self.mask))
            scores["inside"] = share_inside(attribution, self.mask)
            scores["area"] = float(self.mask.mean())
        return scores

    def _probability(self, images: np.ndarray) -> np.ndarray:
        target = self.ensemble.conditions.index(self.condition)
        return self.ensemble.predict(images).per_fold.mean(axis=0)[:, target]


def _similarity(own: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """A fold's map against the map after its weights became random."""
    return {
        "rank_random": rank_correlation(own, other),
        "absolute_random": rank_correlation(np.abs(own), np.abs(other)),
        "ssim_random": structural_similarity(own, other),
    }


def _integral(attribution: Attribution) -> dict[str, float | None]:
    scores = {"agreement": attribution.agreement}
    if attribution.difference and attribution.convergence_delta is not None:
        scores["error"] = abs(attribution.convergence_delta / attribution.difference)
    return scores


def _mean(values: np.ndarray, measure: str) -> Estimate | None:
    """Mean over images with its 95% interval: Wilson's for the pointing game, else a percentile bootstrap."""
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return None
    if measure == "pointing":
        return proportion(int(values.sum()), len(values))
    found = bootstrap((values,), np.mean, n_resamples=_REPLICATES, method="percentile", rng=0)
    return Estimate(
        float(values.mean()), float(found.confidence_interval.low), float(found.confidence_interval.high)
    )
