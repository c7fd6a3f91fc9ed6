"""Compare attribution methods on the same images, with a random map as the control."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from morphoscope.classify.attribution.maps import Attribution, averaged
from morphoscope.classify.attribution_comparison.cascade import Original, run_cascade
from morphoscope.classify.attribution_comparison.examples import Example, ExampleMap
from morphoscope.classify.attribution_comparison.faithfulness import curves, replacement_image
from morphoscope.classify.attribution_comparison.localisation import points_at, proportion_inside
from morphoscope.classify.attribution_comparison.results import CONTROL, ComparedMaps, MapScore, Setting
from morphoscope.classify.attribution_comparison.sanity import Similarity, randomised, similarity
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation.seen import seen_images
from morphoscope.classify.inputs.views import in_view
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError
from morphoscope.configs.attribution import SINGLE_BASELINES, AttributionSettings, MapComparison, Method
from morphoscope.configs.views import View
from morphoscope.runtime.progress import track

_EXAMPLES = 7


def compare_maps(ensemble: Ensemble, cohort: Cohort, config: MapComparison) -> ComparedMaps:
    """Compare the methods on labelled images, for the probability of the true condition.

    The maps of random weights are computed for the first fold only, and compared with that fold's own maps.
    So are those of the cascade, on the first `config.cascade` images.

    Raises:
        UserError: a dual-view ensemble, a condition that the ensemble does not know, or no image in the
            requested rows.
    """
    _require_comparable(ensemble, cohort)
    trained_on = cohort.digest == ensemble.metadata.cohort_digest
    view = config.view or (ensemble.view if trained_on else None)
    chosen = choose(cohort, config.rows, config.images, config.seed, view)
    seen = seen_images(ensemble, cohort, np.array(chosen))
    images = cohort.images(ensemble.resolution, ensemble.config.images.fit)
    first = ensemble.fold(ensemble.folds[0])
    untrained = randomised(first, config.seed)
    scores: list[MapScore] = []
    examples: list[Example] = []
    originals: list[Original] = []
    for position, index in enumerate(track(chosen, "Comparing maps", unit="images")):
        file, condition = cohort.rows[["file", "condition"]].iloc[index]
        lesion = cohort.lesion_mask(index, ensemble.resolution, ensemble.config.images.fit)
        was_seen = None if seen is None else bool(seen[position])
        trial = _Trial(ensemble, config, file, condition, was_seen, np.array(images[index]), lesion)
        maps = trial.maps(ensemble)
        random_maps = trial.fold_maps(untrained)
        for name, found in maps.items():
            destroyed = similarity(found.per_fold[0], random_maps[name])
            agreement = np.nan if found.agreement is None else found.agreement
            scores.append(trial.score(name, found.map, destroyed, agreement, _relative_error(found)))
        if position < config.cascade:
            fold_maps = {name: found.per_fold[0] for name, found in maps.items()}
            originals.append(Original(file, fold_maps, trial.fold_maps))
        shape = (3, ensemble.resolution, ensemble.resolution)
        noise, one, other = np.random.default_rng([config.seed, index]).random(shape, dtype=np.float32)
        scores.append(trial.score(CONTROL, noise, similarity(one, other)))
        if len(examples) < _EXAMPLES:
            shown = {name: ExampleMap(found.map, found.signed) for name, found in maps.items()}
            shown[CONTROL] = ExampleMap(noise, signed=False)
            examples.append(Example(trial.image, condition, trial.mask, shown))
    setting = Setting(
        images=len(chosen),
        rows=config.rows,
        view=view,
        seen=None if seen is None else int(seen.sum()),
        cohort=cohort.root.name,
        cohort_digest=cohort.digest,
        phantom=ensemble.metadata.phantom,
        replacement=config.replacement,
        sanity=f"all weights of fold {first.folds[0]} re-initialised, compared with that fold's map",
    )
    cascade = run_cascade(first, originals, config.seed) if originals else None
    return ComparedMaps(pd.DataFrame(scores), examples, setting, cascade)


def choose(cohort: Cohort, rows: str, count: int, seed: int, view: View | None = None) -> list[int]:
    """Choose images at random: the conditions in turn, one image per patient.

    Args:
        rows: "test", the test fold, or "all".
        count: the most images; fewer are returned if the cohort has fewer patients.
        view: only images of this view.

    Returns:
        Row numbers in the cohort.

    Raises:
        UserError: there is no such image.
    """
    table = cohort.rows.reset_index(names="index")[in_view(cohort, view)]
    if rows == "test":
        table = table[table["fold"] == TEST_FOLD]
    table = table.sample(frac=1, random_state=seed).drop_duplicates("group")
    if table.empty:
        raise UserError(
            f"{cohort.root}: no image to compare maps on (rows '{rows}', {view or 'every'} view). Split off "
            "a test fold, or use rows 'all'."
        )
    turn = table.groupby("condition").cumcount()
    ordered = table.assign(turn=turn).sort_values(["turn", "condition"])
    return [int(index) for index in ordered["index"].head(count)]


def _require_comparable(ensemble: Ensemble, cohort: Cohort) -> None:
    if ensemble.dual:
        raise UserError("Maps are compared on single images, but this ensemble takes pairs of images.")
    unknown = sorted(set(cohort.rows["condition"]) - set(ensemble.conditions))
    if unknown:
        raise UserError(
            f"{cohort.root}: the ensemble does not know {', '.join(unknown)}; it knows {ensemble.conditions}."
        )


@dataclass(frozen=True)
class _Trial:
    """One image on which the methods are compared.

    Attributes:
        ensemble: whose predictions are explained.
        file, condition: the image's name and its true condition.
        seen: whether a model has seen the image; None if that is not known.
        image: uint8 [R, R, 3].
        mask: bool [R, R], true on the lesion; None if it is not known.
    """

    ensemble: Ensemble
    config: MapComparison
    file: str
    condition: str
    seen: bool | None
    image: np.ndarray
    mask: np.ndarray | None

    def maps(self, ensemble: Ensemble) -> dict[str, Attribution]:
        """The maps of `ensemble`, by "method" or "method:baseline"."""
        found: dict[str, Attribution] = {}
        for name in sorted(dict.fromkeys(self.config.methods), key=lambda name: name.endswith(":average")):
            method, _, baseline = name.partition(":")
            four = [f"{method}:{one}" for one in SINGLE_BASELINES]
            if baseline == "average" and all(part in found for part in four):
                found[name] = averaged([found[part] for part in four])  # instead of computing the four again
            else:
                found[name] = self._map(ensemble, method, baseline)
        return {name: found[name] for name in self.config.methods}

    def _map(self, ensemble: Ensemble, method: str, baseline: str) -> Attribution:
        options = self.config.model_dump(include=set(AttributionSettings.model_fields))
        if baseline:
            options["baseline"] = baseline
        return ensemble.attribute(self.image, self.condition, cast(Method, method), **options)

    def fold_maps(self, fold: Ensemble) -> dict[str, np.ndarray]:
        """The maps of an ensemble of one fold, float32 [R, R], by method."""
        return {name: found.per_fold[0] for name, found in self.maps(fold).items()}

    def score(
        self,
        method: str,
        attribution: np.ndarray,
        to_random: Similarity,
        agreement: float = np.nan,
        error: float = np.nan,
    ) -> MapScore:
        """Score a map [R, R] by the classifier and by the mask."""
        replacement = replacement_image(self.image, self.config.replacement)
        found = curves(
            self._probability, self.image, attribution, replacement, self.config.points, self.config.seed
        )
        mask = self.mask
        return MapScore(
            file=self.file,
            condition=self.condition,
            method=method,
            pointing=np.nan if mask is None else float(points_at(attribution, mask)),
            inside=np.nan if mask is None else proportion_inside(attribution, mask),
            deletion=found.deleted,
            insertion=found.inserted,
            agreement=agreement,
            **to_random._asdict(),
            error=error,
            area=np.nan if mask is None else float(mask.mean()),
            seen=self.seen,
        )

    def _probability(self, images: np.ndarray) -> np.ndarray:
        target = self.ensemble.conditions.index(self.condition)
        return self.ensemble.predict(images).per_fold.mean(axis=0)[:, target]


def _relative_error(attribution: Attribution) -> float:
    """Largest convergence delta over the mean difference; NaN without an integral or a difference."""
    if not attribution.difference or attribution.convergence_delta is None:
        return np.nan
    return abs(attribution.convergence_delta / attribution.difference)
