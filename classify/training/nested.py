"""Nested cross-validation: every fold in turn is the test fold, so that every patient is tested once."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from morphoscope.classify.evaluation import Evaluation, evaluate
from morphoscope.classify.prediction import Prediction
from morphoscope.classify.training.material import TrainingCohorts
from morphoscope.classify.training.plans import check_cohorts
from morphoscope.classify.training.run import train_ensemble, training_request
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError, arguments
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.views import View
from morphoscope.runtime import RunFolder, write_text
from morphoscope.runtime.statistics import Estimate
from morphoscope.runtime.torch_devices import resolve_device

_LEAST_FOLDS = 3  # one to test on, and two of the others to calibrate on in turn
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
    repeats: int = 1,
    auxiliary: Sequence[Cohort] = (),
    view: View | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> list[Evaluation]:
    """Train and evaluate an ensemble for every fold of a cohort, each without any image of its fold.

    With k folds (a fold "test" is one of them) this trains k ensembles of k - 1 models. The folds within an
    ensemble choose its epochs, if they are chosen, and calibrate it; the fold left out only evaluates it. So
    the pooled predictions evaluate all patients, and none of them had a part in its own prediction. They
    describe the method on cohorts of (k - 1) / k of the size, not one ensemble.

    The run folder gets `repeat-R/fold-J/`, the run folder of the ensemble that is tested on fold J,
    `repeat-R/pooled/`, which is what `Evaluation.write` writes of all images, and `summary.json`. Called
    again with the same run folder, the training resumes.

    Args:
        config: settings of each training.
        cohort: real images with at least 3 folds.
        run: folder to train in.
        repeats: number of splits. The first one is the cohort's own, the others are drawn with the seeds
            `config.seed` + 1, + 2, …, with the same number of folds.
        auxiliary, view, device, overwrite: as for `train_ensemble`.

    Returns:
        The pooled evaluation of each repeat.

    Raises:
        UserError: fewer than 3 folds, images without a fold, or as `train_ensemble`.
        KeyboardInterrupt: as `train_ensemble`.
    """
    repeats = arguments.whole_number("repeats", repeats, 1, 100)
    arguments.instance("config", config, EnsembleTraining, "an EnsembleTraining, e.g. from load_config")
    arguments.instance("run", run, RunFolder, "a RunFolder")
    arguments.flag("overwrite", overwrite)
    check_cohorts(cohort, (), auxiliary, None)
    resolve_device(device)  # an unknown one is an error now
    if view is not None:
        arguments.one_of("view", view, get_args(View))
    splits = _splits(config, cohort, repeats)
    options = {"auxiliary": auxiliary, "view": view, "device": device, "overwrite": overwrite}
    pooled = []
    with run.held():
        request = training_request(config, TrainingCohorts(cohort, (), auxiliary, view), "nested")
        run.claim(request, overwrite=overwrite)
        run.write_config(config, cohort=cohort.root, cohort_digest=cohort.digest, view=view)
        try:
            for number, split in enumerate(splits, 1):
                folder = run.path / f"repeat-{number}"
                parts = [_tested_on(fold, config, split, folder, options) for fold in _folds(split)]
                pooled.append(pool(parts, split))
                pooled[-1].write(folder / "pooled")
        except KeyboardInterrupt as stop:
            finished = len(list(run.path.glob("repeat-*/fold-*/ensemble.safetensors")))
            total = sum(len(_folds(split)) for split in splits)
            raise KeyboardInterrupt(
                f"Stopped; {finished} of {total} ensembles are trained. {run.how_to_resume}"
            ) from stop
        write_text(run.path / "summary.json", json.dumps(summary(pooled), indent=2) + "\n")
    return pooled


def _tested_on(
    fold: str, config: EnsembleTraining, split: Cohort, folder: Path, options: dict[str, Any]
) -> Evaluation:
    """Train an ensemble without a fold, and evaluate it on that fold."""
    outer = leaving_out(split, fold)
    ensemble = train_ensemble(config, outer, RunFolder(folder / f"fold-{fold}"), **options)
    return evaluate(ensemble, outer, rows="test")


def _splits(config: EnsembleTraining, cohort: Cohort, repeats: int) -> list[Cohort]:
    """The cohort with its own folds, and then with others, as many."""
    count, undivided = len(_folds(cohort)), cohort.with_folds(pd.Series("", index=cohort.rows.index))
    return [cohort, *(undivided.split(count, config.seed + repeat) for repeat in range(1, repeats))]


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


def summary(repeats: Sequence[Evaluation]) -> dict[str, Any]:
    """Mean over the repeats of the balanced accuracy and the accuracy, with the spread between splits.

    The interval's ends are means over the repeats, too: repeats show the same patients, so that they do not
    make the interval narrower.
    """
    found: dict[str, Any] = {"repeats": len(repeats), "images": len(repeats[0].truth)}
    for name in ("balanced_accuracy", "accuracy"):
        values = np.array([getattr(one, name) for one in repeats])
        spread = float(values[:, 0].std(ddof=1)) if len(repeats) > 1 else None
        found[name] = {
            **Estimate(*map(float, values.mean(axis=0)))._asdict(),
            "standard_deviation_between_repeats": spread,
        }
    return found


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
    names = sorted(set(found), key=lambda name: (name == TEST_FOLD, name.zfill(9)))
    if len(names) < _LEAST_FOLDS:
        raise UserError(
            f"{cohort.root}: {len(names)} folds; nested cross-validation needs at least {_LEAST_FOLDS}: "
            "one to test on and the others to calibrate on."
        )
    return names
