"""Repeated splits and nested cross-validation: every patient is evaluated, by models that never saw it."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd

from morphoscope.classify.evaluation import Evaluation, evaluate
from morphoscope.classify.prediction import Prediction
from morphoscope.classify.training.material import TrainingCohorts
from morphoscope.classify.training.plans import check_cohorts
from morphoscope.classify.training.run import train_ensemble, training_request
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.configs import UserError, arguments
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.views import View
from morphoscope.runtime import RunFolder, write_text
from morphoscope.runtime.statistics import Estimate
from morphoscope.runtime.torch_devices import resolve_device

_LEAST_NESTED = 3  # one to test on, and two of the others to calibrate on in turn
# Fields of a prediction with an entry per image, and the axis of the images.
_PER_IMAGE = {
    "per_fold": 1,
    "combined": 0,
    "unsure": 0,
    "uncalibrated": 0,
    "prediction_sets": 0,
    "novelty": 0,
    "novel": 0,
    "joint": 1,
}
_NOTE = "Nested cross-validation: each image is predicted by an ensemble of the other folds."


def cross_validate(
    config: EnsembleTraining,
    cohort: Cohort,
    run: RunFolder,
    *,
    nested: bool = True,
    repeats: int = 1,
    auxiliary: Sequence[Cohort] = (),
    view: View | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> list[Evaluation]:
    """Train ensembles for one or more splits of a cohort, and evaluate each image by models without it.

    Nested, every fold of the k folds in turn (a fold "test" is one of them) is tested by an ensemble of k - 1
    models on the others. The folds within an ensemble choose its epochs, if they are chosen, and calibrate
    it; the fold left out only evaluates it. So the pooled predictions evaluate all patients, and none of them
    had a part in its own prediction. They describe the method on cohorts of (k - 1) / k of the size, not one
    ensemble. The run folder gets `repeat-R/fold-J/`, the run folder of the ensemble that is tested on fold J,
    and `repeat-R/pooled/`, which is what `Evaluation.write` writes of all images.

    Otherwise each split is that of one ensemble, evaluated out of fold: each image by the one model that was
    not trained on it. Images of a fold "test" stay in it and play no part. The run folder gets `repeat-R/`,
    the run folder of the ensemble of split R.

    Both also write `summary.json` (see `OverSplits`) and `patients.csv` (see `by_patient`). Called again with
    the same run folder, the training resumes.

    Args:
        config: settings of each training.
        cohort: real images with folds: at least 3 if nested, otherwise 2 besides the fold "test".
        run: folder to train in.
        repeats: number of splits. The first one is the cohort's own, the others are drawn with the seeds
            `config.seed` + 1, + 2, …, with the same number of folds.
        auxiliary, view, device, overwrite: as for `train_ensemble`.

    Returns:
        The evaluation of each split.

    Raises:
        UserError: too few folds, images without a fold, or as `train_ensemble`.
        KeyboardInterrupt: as `train_ensemble`.
    """
    repeats = arguments.whole_number("repeats", repeats, 1, 100)
    arguments.instance("config", config, EnsembleTraining, "an EnsembleTraining, e.g. from load_config")
    arguments.instance("run", run, RunFolder, "a RunFolder")
    arguments.flag("nested", nested)
    arguments.flag("overwrite", overwrite)
    check_cohorts(cohort, (), auxiliary, None)
    resolve_device(device)  # an unknown one is an error now
    if view is not None:
        arguments.one_of("view", view, get_args(View))
    splits = _splits(cohort, config.seed, repeats, nested)
    options = {"auxiliary": auxiliary, "view": view, "device": device, "overwrite": overwrite}
    one_split = _nested if nested else _out_of_fold
    found: list[Evaluation] = []
    with run.held():
        cohorts = TrainingCohorts(cohort, (), auxiliary, view)
        request = training_request(config, cohorts, "nested" if nested else "repeated")
        run.claim(request, overwrite=overwrite)
        run.write_config(config, cohort=cohort.root, cohort_digest=cohort.digest, view=view)
        try:
            for number, split in enumerate(splits, 1):
                found.append(one_split(config, split, run.path / f"repeat-{number}", options))
        except KeyboardInterrupt as stop:
            trained = len(list(run.path.glob("repeat-*/**/ensemble.safetensors")))
            total = sum(len(_folds(split)) if nested else 1 for split in splits)
            raise KeyboardInterrupt(
                f"Stopped; {trained} of {total} ensembles are trained. {run.how_to_resume}"
            ) from stop
        write_text(run.path / "summary.json", json.dumps(_summary(found), indent=2) + "\n")
        write_csv(run.path / "patients.csv", by_patient(found))
    return found


def _nested(config: EnsembleTraining, split: Cohort, folder: Path, options: dict[str, Any]) -> Evaluation:
    """Train an ensemble without each fold in turn, and evaluate it on that fold."""
    parts = []
    for fold in _folds(split):
        outer = leaving_out(split, fold)
        ensemble = train_ensemble(config, outer, RunFolder(folder / f"fold-{fold}"), **options)
        parts.append(evaluate(ensemble, outer, rows="test"))
    pooled = pool(parts, split)
    pooled.write(folder / "pooled")
    return pooled


def _out_of_fold(
    config: EnsembleTraining, split: Cohort, folder: Path, options: dict[str, Any]
) -> Evaluation:
    """Train the ensemble of a split, and evaluate its models on the fold that each was not trained on."""
    return evaluate(train_ensemble(config, split, RunFolder(folder), **options), split, rows="out_of_fold")


def _splits(cohort: Cohort, seed: int, repeats: int, nested: bool) -> list[Cohort]:
    """The cohort with its own folds, then with others of the same number; if not nested, "test" stays."""
    names = _folds(cohort)
    parts, rest = len(names), cohort
    if nested:
        rest = cohort.with_folds(pd.Series("", index=cohort.rows.index))
    elif TEST_FOLD in names:
        parts -= 1
    least, needs = (_LEAST_NESTED, "nested cross-validation needs") if nested else (2, "repeated splits need")
    if parts < least:
        raise UserError(
            f"{cohort.root}: too few folds ({parts}); {needs} at least {least}: one to evaluate on, the "
            "others to train and calibrate on."
        )
    return [cohort, *(rest.split(parts, seed + repeat) for repeat in range(1, repeats))]


def leaving_out(cohort: Cohort, fold: str) -> Cohort:
    """The same images with `fold` as the test fold; those of the present one get a fold of their own.

    Args:
        fold: name of one of the cohort's folds, or "test" for the cohort as it is.
    """
    if fold == TEST_FOLD:
        return cohort
    own = str(max(int(name) for name in _folds(cohort) if name != TEST_FOLD) + 1)
    return cohort.with_folds(cohort.rows["fold"].replace({TEST_FOLD: own, fold: TEST_FOLD}))


def pool(parts: Sequence[Evaluation], cohort: Cohort) -> Evaluation:
    """One evaluation of the images of all `parts`, which have the same conditions and number of models."""
    first = parts[0]
    partners = [part.partners for part in parts if part.partners is not None]
    return replace(
        first,
        files=np.concatenate([part.files for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        prediction=_pooled_predictions([part.prediction for part in parts]),
        facts=replace(
            first.facts,
            rows="nested",
            cohort_digest=cohort.digest,
            folds=_folds(cohort),
            calibration=None,
            calibration_note=_NOTE,
        ),
        attributes=pd.concat([part.attributes for part in parts], ignore_index=True).fillna("unknown"),
        partners=np.concatenate(partners) if partners else None,
    )


class OverSplits(NamedTuple):
    """A metric over several splits of the same patients.

    Attributes:
        mean: over the splits, with its interval by patient: how far it may be from the value for all patients
            like these. The interval's ends are means, too: more splits show the same patients.
        spread: standard deviation between the splits: how far the metric depends on which patients share a
            fold. It says nothing about other patients. None for a single split.
    """

    mean: Estimate
    spread: float | None


def over_splits(evaluations: Sequence[Evaluation]) -> dict[str, OverSplits]:
    """The balanced accuracy and the accuracy over the splits."""
    found = {}
    for name in ("balanced_accuracy", "accuracy"):
        values = np.array([getattr(one, name) for one in evaluations])
        spread = float(values[:, 0].std(ddof=1)) if len(evaluations) > 1 else None
        found[name] = OverSplits(Estimate(*map(float, values.mean(axis=0))), spread)
    return found


def _summary(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    metrics = {
        name: {**found.mean._asdict(), "standard_deviation_between_repeats": found.spread}
        for name, found in over_splits(evaluations).items()
    }
    return {"repeats": len(evaluations), "images": len(evaluations[0].truth), **metrics}


def by_patient(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """One row per patient (group): condition, number of images, and the proportion of them that is correct.

    `correct` is the mean over the splits, and `standard_deviation_between_repeats` how far it depends on the
    split; empty for a single one. Patients with the lowest proportion come first.
    """
    each = [pd.Series(one.correct, one.groups, float).groupby(level=0).mean() for one in evaluations]
    correct, first = pd.concat(each, axis=1), evaluations[0]
    conditions = pd.Series(np.array(first.conditions, object)[first.truth], first.groups).groupby(level=0)
    table = pd.DataFrame(
        {
            "condition": conditions.agg(lambda names: "; ".join(sorted(set(names)))),
            "images": conditions.size(),
            "correct": correct.mean(axis=1),
            "standard_deviation_between_repeats": correct.std(axis=1, ddof=1),
        }
    )
    return table.rename_axis("group").reset_index().sort_values(["correct", "group"], ignore_index=True)


def _pooled_predictions(parts: Sequence[Prediction]) -> Prediction:
    per_image = {name: [getattr(part, name) for part in parts] for name in _PER_IMAGE}
    joined = {
        name: np.concatenate(values, axis=_PER_IMAGE[name])
        for name, values in per_image.items()
        if all(value is not None for value in values)
    }
    absent = dict.fromkeys(per_image.keys() - joined.keys())
    others = {one.name: getattr(parts[0], one.name) for one in fields(Prediction)}
    return Prediction(**{**others, **absent, **joined})


def _folds(cohort: Cohort) -> list[str]:
    """Names of the cohort's folds, the test fold among them."""
    found = cohort.rows["fold"]
    if (found == "").any():
        raise UserError(f"{cohort.root}: images without a fold; split the cohort first: cohort split.")
    return sorted(set(found), key=lambda name: (name == TEST_FOLD, name.zfill(9)))
