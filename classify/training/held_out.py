"""Training without one condition, site or device: does the alarm notice what the models never saw?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation import Evaluation, evaluate
from morphoscope.classify.evaluation.held_out_page import write_held_out_page
from morphoscope.classify.held_out import HeldOut, HeldOutColumn
from morphoscope.classify.inputs.views import in_view
from morphoscope.classify.training.plans import check_cohorts, plan_folds
from morphoscope.classify.training.run import train_ensemble
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.cohort.leaving_out import leave_out
from morphoscope.configs import UserError, arguments
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Rows
from morphoscope.configs.views import View
from morphoscope.runtime import RunFolder, write_text
from morphoscope.runtime.terminal import say
from morphoscope.runtime.torch_devices import resolve_device

FOLDER = "held-out"
_SOURCES: tuple[HeldOutColumn, ...] = ("site", "device")
_LEAST_CONDITIONS = 3
_FEW = 10  # images of a source; an area under the ROC curve of fewer says nothing


@dataclass(frozen=True)
class LeftOut:
    """What one more ensemble is trained without.

    Attributes:
        column, value: of the manifest.
        folder: name of its run folder below `held-out/`.
    """

    column: HeldOutColumn
    value: str
    folder: str


@dataclass(frozen=True)
class HeldOutPlan:
    """What is left out in turn.

    Attributes:
        cohort: of the training.
        view: of its images, those that are trained on; all if None.
        folds: names of the folds to train; all if None.
        left_out: in the order of the trainings.
        skipped: a sentence for each site or device that cannot be left out.
    """

    cohort: Cohort
    view: View | None
    folds: Sequence[str] | None
    left_out: list[LeftOut]
    skipped: list[str] = field(default_factory=list)


def plan_held_out(
    config: EnsembleTraining,
    cohort: Cohort,
    conditions: Sequence[str] | None = None,
    *,
    view: View | None = None,
    folds: Sequence[str] | None = None,
) -> HeldOutPlan:
    """Choose what is left out in turn: conditions and, if the manifest has such columns, sites and devices.

    Args:
        config: settings of the training.
        cohort: real images with folds.
        conditions: names of those to leave out; all in turn if None.
        view, folds: as for `train_ensemble`.

    Raises:
        UserError: an unknown condition, fewer than three conditions, or too few images to train without one
            of them. Sites and devices without which too little is left are skipped instead.
    """
    arguments.instance("config", config, EnsembleTraining, "an EnsembleTraining, e.g. from load_config")
    check_cohorts(cohort, (), (), folds)
    if view is not None:
        arguments.one_of("view", view, get_args(View))
    if conditions is not None:
        arguments.listed("conditions", conditions, str, "a list of names of conditions")
    if len(cohort.conditions) < _LEAST_CONDITIONS:
        raise UserError(
            f"{cohort.root}: {len(cohort.conditions)} conditions; to leave one out, a cohort needs at least "
            f"{_LEAST_CONDITIONS}."
        )
    plan = HeldOutPlan(cohort, view, folds, [])
    for name in dict.fromkeys(cohort.conditions if conditions is None else conditions):
        arguments.one_of("A condition to leave out", name, cohort.conditions)
        found = LeftOut("condition", name, f"condition-{cohort.conditions.index(name)}")
        _require_trainable(config, plan, found)
        plan.left_out.append(found)
    for column in _SOURCES:
        for found in _sources(cohort, column):
            try:
                _require_trainable(config, plan, found)
            except UserError as error:
                plan.skipped.append(f"{column} {found.value} is not left out: {error}")
            else:
                plan.left_out.append(found)
    return plan


def measure_held_out(
    config: EnsembleTraining,
    ensemble: Ensemble,
    plan: HeldOutPlan,
    run: RunFolder,
    *,
    auxiliary: Sequence[Cohort] = (),
    device: str = "auto",
    overwrite: bool = False,
) -> list[HeldOut]:
    """Train an ensemble without each part of the plan, and measure whether it notices that part's images.

    The folds are those of the cohort. Images of the part are compared with those of the fold "test" by the
    whole ensemble or, without such a fold, with out-of-fold images by single models. No image had a part in
    training or calibration, and none of the results chooses anything.

    The run folder gets `held-out/`, with the run folder of each training, `results.json` and `report.html`.
    The results are also recorded in the ensemble and its file. Called again with the same run folder, the
    training resumes.

    Args:
        config: settings of each training.
        ensemble: the one that `train_ensemble` trained in `run` with these settings and cohorts.
        plan: from `plan_held_out`.
        run: the folder that it was trained in.
        auxiliary, device, overwrite: as for `train_ensemble`. Auxiliary images of a condition that is left
            out are left out, too.

    Raises:
        UserError: a plan that leaves nothing out, or as `train_ensemble`.
        KeyboardInterrupt: as `train_ensemble`.
    """
    arguments.instance("config", config, EnsembleTraining, "an EnsembleTraining, e.g. from load_config")
    arguments.instance("ensemble", ensemble, Ensemble, "an Ensemble, from train_ensemble")
    arguments.instance("plan", plan, HeldOutPlan, "a HeldOutPlan, from plan_held_out")
    arguments.instance("run", run, RunFolder, "a RunFolder")
    arguments.flag("overwrite", overwrite)
    check_cohorts(plan.cohort, (), auxiliary, plan.folds)
    resolve_device(device)  # an unknown one is an error now
    if not plan.left_out:
        raise UserError("The plan leaves nothing out; name at least one condition.")
    found: list[HeldOut] = []
    for number, part in enumerate(plan.left_out, 1):
        say(f"Left out: {part.column} {part.value} ({number} of {len(plan.left_out)})")
        inner = RunFolder(run.path / FOLDER / part.folder)
        try:
            found.append(_measure(config, plan, part, inner, auxiliary, device, overwrite))
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                f"Stopped in the training without {part.column} {part.value}. {run.how_to_resume}"
            ) from stop
    ensemble.metadata = ensemble.metadata.model_copy(update={"held_out": found})
    with run.held():
        folder = run.path / FOLDER
        results = [one.model_dump(mode="json") for one in found]
        write_text(folder / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
        write_held_out_page(found, folder, ensemble.descriptions, plan.skipped)
        ensemble.save(run.path / "ensemble.safetensors")
    return found


def _measure(
    config: EnsembleTraining,
    plan: HeldOutPlan,
    part: LeftOut,
    run: RunFolder,
    auxiliary: Sequence[Cohort],
    device: str,
    overwrite: bool,
) -> HeldOut:
    rest, outside = _split(plan, part)
    if part.column == "condition":
        config, auxiliary = without_auxiliary(config, auxiliary, part.value)
    ensemble = train_ensemble(
        config,
        rest,
        run,
        auxiliary=auxiliary,
        view=plan.view,
        folds=plan.folds,
        device=device,
        overwrite=overwrite,
    )
    rows: Rows = "test" if (rest.rows["fold"] == TEST_FOLD).any() else "out_of_fold"
    return _result(part, evaluate(ensemble, rest, rows=rows, unlike=outside, strata=False))


def _result(part: LeftOut, evaluation: Evaluation) -> HeldOut:
    rates, groups = evaluation.novelty, evaluation.unlike_groups
    assert rates is not None and rates.unlike is not None and groups is not None  # trained: calibrated
    return HeldOut(
        column=part.column,
        value=part.value,
        images=rates.unlike.images,
        groups=len(set(groups)),
        compared=len(evaluation.truth),
        auroc=list(rates.unlike.auroc),
        detected=list(rates.unlike.detected),
        false_alarms=list(rates.false_alarms),
    )


def _split(plan: HeldOutPlan, part: LeftOut) -> tuple[Cohort, Cohort]:
    """(the cohort that is trained on, the images that are left out, of the view that is trained on)."""
    rest, outside = leave_out(plan.cohort, part.column, part.value)
    return rest, outside.select(in_view(outside, plan.view))


def _require_trainable(config: EnsembleTraining, plan: HeldOutPlan, part: LeftOut) -> None:
    rest, outside = _split(plan, part)
    if not len(outside):
        raise UserError(
            f"{plan.cohort.root}: all patients of {part.column} {part.value} also have other images, so that "
            "the models would know them."
        )
    dual = config.images.views == "dual"
    chosen = plan_folds(rest, view=plan.view, dual=dual, folds=plan.folds)
    if len(chosen) < 2 and not (rest.rows["fold"] == TEST_FOLD).any():
        raise UserError(
            f"{plan.cohort.root}: with one fold and no test fold there are no other images to compare with."
        )


def _sources(cohort: Cohort, column: HeldOutColumn) -> list[LeftOut]:
    """The sites or devices of a cohort with at least 10 images; none if it has fewer than two."""
    if column not in cohort.rows.columns:
        return []
    counts = cohort.rows[column].value_counts().drop("", errors="ignore").sort_index()
    if len(counts) < 2:
        return []
    return [
        LeftOut(column, str(value), f"{column}-{position}")
        for position, (value, images) in enumerate(counts.items())
        if images >= _FEW
    ]


def without_auxiliary(
    config: EnsembleTraining, auxiliary: Sequence[Cohort], condition: str
) -> tuple[EnsembleTraining, list[Cohort]]:
    """(settings, auxiliary cohorts) without the auxiliary images whose class is `condition`.

    Otherwise the models would know it under another name.
    """
    names = config.images.auxiliary_names
    kept = [
        extra.select(
            (extra.rows["condition"].map(lambda name: names.get(name, name)) != condition).to_numpy()
        )
        for extra in auxiliary
    ]
    left = {name for extra in kept for name in extra.rows["condition"]}
    remaining = {name: to for name, to in names.items() if name in left}
    return config.model_copy(update={"auxiliary_names": remaining}), [extra for extra in kept if len(extra)]
