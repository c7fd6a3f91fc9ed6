"""Which method to believe: all of them on the same images, in one table, with a random map as control."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from rich.progress import track

from morphoscope.classify.attribution.maps import Attribution, averaged
from morphoscope.classify.attribution_comparison.cascade import Cascade, Original, run_cascade
from morphoscope.classify.attribution_comparison.examples import Example, draw_examples
from morphoscope.classify.attribution_comparison.faithfulness import curves, replacement_image
from morphoscope.classify.attribution_comparison.localisation import points_at, share_inside
from morphoscope.classify.attribution_comparison.sanity import randomised, similarity
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation.seen import seen_images
from morphoscope.classify.inputs.views import in_view
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError
from morphoscope.configs.attribution import SINGLE_BASELINES, AttributionSettings, MapComparison, Method
from morphoscope.configs.views import View
from morphoscope.runtime import write_atomically, write_text
from morphoscope.runtime.statistics import Estimate, format_estimate, mean_with_interval, proportion

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


@dataclass(frozen=True)
class ComparedMaps:
    """What each method did on each image.

    Attributes:
        scores: one row an image and method: file, condition, method, the columns of `MEASURES` (NaN where
            they mean nothing: no mask, no integral), `area`, the mask's share of the image, and `seen`:
            whether a model was trained on the image or chosen by it, None if that is not known.
        examples: a few images with their maps.
        facts: which rows of which cohort, and what of the ensemble.
        cascade: what became of some maps as layers were drawn anew one after the other; None: not tried.
    """

    scores: pd.DataFrame
    examples: list[Example]
    facts: dict[str, Any]
    cascade: Cascade | None = None

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

    @property
    def warning(self) -> str | None:
        """A sentence if images are not new to the models, or if nobody knows."""
        seen, images = self.facts["seen"], self.facts["images"]
        if seen is None:
            return "It is not known whether the models were trained on these images: their file does not say."
        if not seen:
            return None
        return (
            f"The ensemble was trained or validated on {seen} of these {images} images (`seen` in "
            "scores.csv). It is surer of them than of new ones, which shows in deletion and insertion, and "
            "its maps may show what it learnt by heart. Report figures of images that no model has seen."
        )

    def markdown(self) -> str:
        """The table, and what is to be read in it."""
        lines = [
            "| method | " + " | ".join(MEASURES.values()) + " |",
            "|---" * (len(MEASURES) + 1) + "|",
            *(
                f"| {name} | " + " | ".join(format_estimate(found, digits=2) for found in row.values()) + " |"
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
            "Integral's error: largest convergence delta of a model and baseline over their mean difference. "
            f"`{CONTROL}` is noise, the control."
        )
        warning = "" if self.warning is None else f"**Warning.** {self.warning}\n\n"
        cascade = "" if self.cascade is None else self.cascade.markdown()
        return warning + "\n".join(lines) + "\n\n" + notes + "\n" + cascade

    def write(self, folder: Path) -> None:
        """Write table.md, table.csv, table.json, scores.csv (every image), examples.png and, of the cascade,
        cascade.csv and cascade.png into `folder`.
        """
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
        if self.cascade is not None:
            content["cascade"] = self.cascade.facts()
            self.cascade.write(folder)
        write_text(folder / "table.json", json.dumps(content, indent=2) + "\n")
        draw_examples(folder / "examples.png", self.examples)


def compare_maps(ensemble: Ensemble, cohort: Cohort, config: MapComparison) -> ComparedMaps:
    """Try the methods on labelled images, for the true condition's probability.

    Random weights cost a second map: it is made for the first fold alone, and compared with that fold's map.
    So are those of the cascade, on the first images.

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
    trained_on = cohort.digest == ensemble.metadata.get("cohort_digest")
    view = config.view or (ensemble.view if trained_on else None)
    chosen = choose(cohort, config.rows, config.images, config.seed, view)
    seen = seen_images(ensemble, cohort, np.array(chosen))
    images = cohort.images(ensemble.resolution, ensemble.config.fit)
    first = ensemble.fold(ensemble.folds[0])
    untrained = randomised(first, config.seed)
    rows: list[dict[str, Any]] = []
    examples: list[Example] = []
    originals: list[Original] = []
    steps = track(chosen, description="Comparing maps", transient=True)
    for position, index in enumerate(steps):
        condition = cohort.rows["condition"].iloc[index]
        lesion = cohort.lesion_mask(index, ensemble.resolution, ensemble.config.fit)
        trial = _Trial(ensemble, np.array(images[index]), condition, lesion, config)
        file = cohort.rows["file"].iloc[index]
        facts = {"file": file, "condition": condition, "seen": None if seen is None else bool(seen[position])}
        maps = trial.maps(ensemble)
        random_maps = trial.fold_maps(untrained)
        for name, found in maps.items():
            destroyed = similarity(found.per_fold[0], random_maps[name])
            rows.append({**facts, "method": name, **trial.scores(found.map), **destroyed, **_integral(found)})
        if position < config.cascade:
            fold_maps = {name: found.per_fold[0] for name, found in maps.items()}
            originals.append(Original(file, fold_maps, trial.fold_maps))
        shape = (3, ensemble.resolution, ensemble.resolution)
        noise, own, other = np.random.default_rng([config.seed, index]).random(shape, dtype=np.float32)
        rows.append({**facts, "method": CONTROL, **trial.scores(noise), **similarity(own, other)})
        if len(examples) < _EXAMPLES:
            shown = {name: (found.map, found.signed) for name, found in maps.items()}
            examples.append(Example(trial.image, condition, trial.mask, {**shown, CONTROL: (noise, False)}))
    frame = pd.DataFrame(rows, columns=["file", "condition", "method", *MEASURES, "area", "seen"])
    facts = {
        "images": len(chosen),
        "rows": config.rows,
        "view": view,
        "seen": None if seen is None else int(seen.sum()),
        "cohort": cohort.root.name,
        "cohort_digest": cohort.digest,
        "phantom": ensemble.metadata.get("phantom", False),
        "replacement": config.replacement,
        "sanity": f"all weights of fold {first.folds[0]} drawn anew, compared with that fold's map",
    }
    cascade = run_cascade(first, originals, config.seed) if originals else None
    return ComparedMaps(frame, examples, facts, cascade)


def choose(cohort: Cohort, rows: str, count: int, seed: int, view: View | None = None) -> list[int]:
    """Row numbers of at most `count` images of a view, the conditions in turn, no two of one patient.

    Raises:
        UserError: there is none.
    """
    table = cohort.rows.reset_index(names="index")[in_view(cohort, view)]
    if rows == "test":
        table = table[table["fold"] == TEST_FOLD]
    table = table.sample(frac=1, random_state=seed).drop_duplicates("group")
    if table.empty:
        raise UserError(
            f"{cohort.root}: no image to look at (rows '{rows}', {view or 'every'} view); split off a test "
            "fold, or use all."
        )
    turn = table.groupby("condition").cumcount()
    ordered = table.assign(turn=turn).sort_values(["turn", "condition"])
    return [int(index) for index in ordered["index"].head(count)]


@dataclass(frozen=True)
class _Trial:
    """One image on which the methods are tried: uint8 [R, R, 3], its true condition, its lesion if known."""

    ensemble: Ensemble
    image: np.ndarray
    condition: str
    mask: np.ndarray | None
    config: MapComparison

    def maps(self, ensemble: Ensemble) -> dict[str, Attribution]:
        """The maps of `ensemble` by each "method" or "method:baseline"."""
        found: dict[str, Attribution] = {}
        for name in sorted(dict.fromkeys(self.config.methods), key=lambda name: name.endswith(":average")):
            method, _, baseline = name.partition(":")
            four = [f"{method}:{one}" for one in SINGLE_BASELINES]
            if baseline == "average" and all(part in found for part in four):
                found[name] = averaged([found[part] for part in four])  # the four are not made twice
            else:
                found[name] = self._map(ensemble, method, baseline)
        return {name: found[name] for name in self.config.methods}

    def _map(self, ensemble: Ensemble, method: str, baseline: str) -> Attribution:
        options = self.config.model_dump(include=set(AttributionSettings.model_fields))
        if baseline:
            options["baseline"] = baseline
        return ensemble.attribute(self.image, self.condition, cast(Method, method), **options)

    def fold_maps(self, fold: Ensemble) -> dict[str, np.ndarray]:
        """Those of an ensemble of one fold, float32 [R, R]."""
        return {name: found.per_fold[0] for name, found in self.maps(fold).items()}

    def scores(self, attribution: np.ndarray) -> dict[str, float]:
        """What the classifier and the mask say of a map."""
        replacement = replacement_image(self.image, self.config.replacement)
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


def _integral(attribution: Attribution) -> dict[str, float | None]:
    scores = {"agreement": attribution.agreement}
    if attribution.difference and attribution.convergence_delta is not None:
        scores["error"] = abs(attribution.convergence_delta / attribution.difference)
    return scores


def _mean(values: np.ndarray, measure: str) -> Estimate | None:
    """Mean over images with its 95% interval: Wilson's for the pointing game, else a bootstrap."""
    values = values[~np.isnan(values)]
    if measure == "pointing" and len(values) > 1:
        return proportion(int(values.sum()), len(values))
    return mean_with_interval(values)
