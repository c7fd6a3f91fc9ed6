"""Training of the whole ensemble: one model per fold, in a run folder in which a second call resumes."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from morphoscope.classify.certainty.prior import COHORT, Prior
from morphoscope.classify.description import EnsembleMetadata, FoldScores
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.ensemble_file import KIND
from morphoscope.classify.evaluation import evaluate
from morphoscope.classify.frequencies import trained_frequencies
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.training.auxiliary import joint_classes, require_every_class
from morphoscope.classify.training.display import Display
from morphoscope.classify.training.fold import FoldState, FoldTrainer
from morphoscope.classify.training.material import FoldImages, TrainingCohorts
from morphoscope.classify.training.plans import FoldPlan, check_cohorts, plan_folds
from morphoscope.cohort import Cohort, CohortInput
from morphoscope.configs import UserError, arguments
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.schema import Resume, fields_marked, fields_of
from morphoscope.configs.user_files import read_regular
from morphoscope.configs.views import View
from morphoscope.runtime import Interruption, Request, RunFolder
from morphoscope.runtime.progress import working
from morphoscope.runtime.runs import recorded_request
from morphoscope.runtime.torch_checkpoints import read_checkpoint, read_metadata, write_checkpoint
from morphoscope.runtime.torch_devices import resolve_device

FOLD_KIND = "classifier_fold"
_MAX_FINGERPRINT = 1000  # bytes
_STOPPING = "Stopping after this step; finished epochs are kept …"

# Written by versions without records of runs.
_FINGERPRINT = "fingerprint.txt"
# Settings that came after fingerprints: at their defaults, earlier ones hold.
_LATER = ("answer", "images_per_epoch", "real_images", "sampling")


def train_ensemble(
    config: EnsembleTraining,
    cohort: Cohort,
    run: RunFolder,
    *,
    synthetic: Sequence[Cohort] = (),
    auxiliary: Sequence[Cohort] = (),
    view: View | None = None,
    folds: Sequence[str] | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> Ensemble:
    """Train one classifier per fold on real images of the other folds and synthetic images that cannot leak.

    Fold j's model never sees images of fold j or of the fold "test", nor synthetic images of a generator that
    did. The epoch with the highest balanced accuracy on fold j is kept or, without `patience`, the last one.
    Auxiliary cohorts are trained jointly with the cohort's conditions, in one softmax, and play no part in
    validation and evaluation. A dual-view model is trained on the pairs that `form_pairs` makes of a fold's
    images.

    The run folder gets `folds/fold-J.safetensors` when fold J ends, `ensemble.safetensors`, and
    `out_of_fold/` (metrics, probabilities and confusion matrix of every image, predicted by the one model
    that was not trained on it). Called again with the same run folder, the training resumes at the first
    unfinished epoch. A UserError before anything is trained leaves no empty run folder behind.

    Args:
        config: settings of the training.
        cohort: real images with folds.
        run: folder to train in.
        synthetic: cohorts written by `morphoscope.generate.augment`.
        auxiliary: cohorts of other conditions, e.g. common lesions; `auxiliary_names` settles equal names.
        view: of the cohort's images, those to train and validate on; all if None.
        folds: names of the folds to train; all if None.
        device: auto, cpu, cuda or cuda:N.
        overwrite: if the run folder holds another training, delete the files that it wrote.

    Raises:
        UserError: the rules of `plan_folds` and `joint_classes`, synthetic rows in `cohort`, weights that
            cannot be loaded, a view for a dual-view model, synthetic or auxiliary images that are neither of
            its views, or a run folder that is in use or was begun with other settings or inputs.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the message says where it stopped. Finished folds and epochs
            are kept.
    """
    arguments.instance("config", config, EnsembleTraining, "an EnsembleTraining, e.g. from load_config")
    arguments.instance("run", run, RunFolder, "a RunFolder")
    arguments.flag("overwrite", overwrite)
    check_cohorts(cohort, synthetic, auxiliary, folds)
    cohorts = TrainingCohorts(cohort, synthetic, auxiliary, view)
    with run.held():
        return _train(config, cohorts, run, folds, device, overwrite)


def _train(
    config: EnsembleTraining,
    cohorts: TrainingCohorts,
    run: RunFolder,
    folds: Sequence[str] | None,
    device: str,
    overwrite: bool,
) -> Ensemble:
    """`train_ensemble` in a run folder that is held."""
    cohort = cohorts.cohort
    resolved = resolve_device(device)
    with working("Preparing the training", transient=True):
        plans, classes = _prepare(config, cohorts, folds)
        own = len(cohort.conditions)
        if not _begun(run):  # before images are resized: perhaps there is no such model
            ConditionClassifier.pretrained(config, own, len(classes) - own)
        request, fingerprint = training_request(config, cohorts), _fingerprint(config, cohorts)
    run.claim(request, overwrite=overwrite, earlier=_recorded_earlier(run, request, fingerprint))
    run.write_config(
        config, cohort=cohort.root, cohort_digest=cohort.digest, view=cohorts.view, device=resolved
    )
    images = FoldImages(cohorts, classes, config)
    try:
        models, scores = _train_folds(config, images, run, plans, resolved, fingerprint)
        facts = _recorded(cohorts, classes, plans) | _frequencies(config, images, plans)
        path = run.path / "ensemble.safetensors"
        facts |= _measured_earlier(path, scores)
        metadata = EnsembleMetadata(
            **facts, scores=scores, config=config, conditions=cohort.conditions, folds=list(models)
        )
        ensemble = Ensemble(metadata, models, resolved)
        with working("Calibrating the ensemble", transient=True):
            ensemble.calibrate(cohort)
        ensemble.save(path)
        with working("Evaluating the ensemble", transient=True):
            evaluate(ensemble, cohort, rows="out_of_fold").write(run.path / "out_of_fold")
    except KeyboardInterrupt as stop:
        where = str(stop) or f"Stopped; {_finished(run)} of {len(plans)} folds are finished."
        raise KeyboardInterrupt(f"{where} {run.how_to_resume}") from stop
    return ensemble


def _prepare(
    config: EnsembleTraining, cohorts: TrainingCohorts, folds: Sequence[str] | None
) -> tuple[list[FoldPlan], list[str]]:
    """(plan of each fold, classes); refuses, as `train_ensemble` says, what may not be trained on."""
    dual, names = config.images.views == "dual", config.images.auxiliary_names
    cohorts.check(dual)
    classes = joint_classes(cohorts.cohort, cohorts.auxiliary, names)
    plans = plan_folds(
        cohorts.cohort,
        cohorts.synthetic,
        auxiliary=cohorts.auxiliary,
        view=cohorts.view,
        dual=dual,
        folds=folds,
        synthetic_per_real=config.images.synthetic_per_real,
        real_images=config.images.real_images,
        seed=config.seed,
    )
    for plan in plans:
        require_every_class(plan.fold, cohorts.auxiliary, plan.auxiliary, names)
    return plans, classes


def _finished(run: RunFolder) -> int:
    return len(list((run.path / "folds").glob("fold-*.safetensors")))


def _begun(run: RunFolder) -> bool:
    return any((run.path / "folds").glob("fold-*"))


def training_request(
    config: EnsembleTraining, cohorts: TrainingCohorts, design: str | None = None
) -> Request:
    """What a run folder is for; folds may be trained one after the other, and on any device.

    Args:
        design: of a run of several trainings, e.g. "nested"; None for a single one.
    """
    inputs: dict[str, Any] = {"cohort": CohortInput(cohorts.cohort), "view": cohorts.view, "design": design}
    for name, extras in (("synthetic", cohorts.synthetic), ("auxiliary", cohorts.auxiliary)):
        inputs[f"{name}_cohorts"] = len(extras)
        inputs |= {f"{name}_{number}": CohortInput(extra) for number, extra in enumerate(extras, 1)}
    return Request(config, inputs)


def _fingerprint(config: EnsembleTraining, cohorts: TrainingCohorts) -> str:
    """A digest of the request, which the files of finished folds record.

    Fields that may change when a run resumes count as left at their defaults. Settings that earlier versions
    did not have are left out while they have their defaults, so that runs of those versions resume.
    """
    fields = fields_of(EnsembleTraining)
    free = {name: fields[name].info.default for name in fields_marked(EnsembleTraining, Resume.MAY_CHANGE)}
    settings = config.model_copy(update=free).model_dump(mode="json")
    facts = {
        "config": {
            name: value
            for name, value in settings.items()
            if name not in _LATER or value != fields[name].info.default
        },
        "cohort": cohorts.cohort.digest,
        "synthetic": [extra.digest for extra in cohorts.synthetic],
        "auxiliary": [extra.digest for extra in cohorts.auxiliary],
        "view": cohorts.view,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _recorded_earlier(run: RunFolder, request: Request, fingerprint: str) -> dict[str, Any] | None:
    """The request of a run that an earlier version began, and recorded as a fingerprint only."""
    path = run.path / _FINGERPRINT
    if recorded_request(run.path) is not None or not path.exists():
        return None
    if _begun(run) and read_regular(path, _MAX_FINGERPRINT).strip() != fingerprint.encode():
        raise UserError(
            f"{run.path}: the training in this run folder was begun with other settings, another view or "
            "another cohort. Give the same ones to resume it, or choose another --run."
        )
    return request.as_json()


def _train_folds(
    config: EnsembleTraining,
    images: FoldImages,
    run: RunFolder,
    plans: Sequence[FoldPlan],
    device: torch.device,
    fingerprint: str,
) -> tuple[dict[str, ConditionClassifier], dict[str, FoldScores]]:
    """({fold: model}, {fold: scores}); folds whose file is already in the run folder are read from it."""
    own = images.conditions
    models, scores = {}, {}
    with Interruption(_STOPPING) as interruption, Display(run) as display:
        for number, plan in enumerate(plans):
            path = run.path / "folds" / f"fold-{plan.fold}.safetensors"
            if not path.is_file():
                if interruption.requested:
                    raise KeyboardInterrupt(f"Stopped after {number} of {len(plans)} folds.")
                display.start(plan.fold, plan.counts, len(plan.validation))
                trainer = FoldTrainer(plan.fold, config, *images.pools(plan), own, device)
                state_file = path.with_suffix(".state.pt")
                _write_fold(path, plan, trainer.fit(state_file, interruption, display), fingerprint)
                state_file.unlink(missing_ok=True)
            model = ConditionClassifier(config, own, len(images.classes) - own)
            scores[plan.fold] = _read_fold(path, model, fingerprint)
            models[plan.fold] = model
    return models, scores


def _write_fold(path: Path, plan: FoldPlan, state: FoldState, fingerprint: str) -> None:
    facts = {
        "fold": plan.fold,
        "fingerprint": fingerprint,
        "balanced_accuracy": state.kept_score,
        "epoch": state.kept_epoch + 1,
        "training_images": plan.counts,
        "validation_images": len(plan.validation),
    }
    write_checkpoint(path, FOLD_KIND, state.kept_weights, facts)


def _read_fold(path: Path, model: ConditionClassifier, fingerprint: str) -> FoldScores:
    """Load a fold's weights into `model`; returns its scores."""
    weights, facts = read_checkpoint(path, FOLD_KIND)
    if facts.get("fingerprint") != fingerprint:
        raise UserError(f"{path}: belongs to another training; delete it to train this fold again.")
    model.load_state_dict(weights)
    return FoldScores(**{name: facts[name] for name in FoldScores.model_fields})


def _frequencies(
    config: EnsembleTraining, images: FoldImages, plans: Sequence[FoldPlan]
) -> dict[str, list[float]]:
    """Frequencies of the conditions: those that the probabilities assume, and those of the real images."""
    assumed = [
        trained_frequencies(images.class_counts(plan), config.loss, images.conditions) for plan in plans
    ]
    real = Prior.of(np.maximum(images.real_counts(plans), 0.5), COHORT)
    return {"prior": np.mean(assumed, axis=0).tolist(), "prevalence": list(real.frequencies)}


def _measured_earlier(path: Path, scores: dict[str, FoldScores]) -> dict[str, Any]:
    """The results of `measure_held_out` in an ensemble's file, if it has these very models."""
    if not path.is_file():
        return {}
    earlier = EnsembleMetadata.from_json(read_metadata(path, KIND), path)
    return {"held_out": earlier.held_out} if earlier.held_out and earlier.scores == scores else {}


def _recorded(cohorts: TrainingCohorts, classes: list[str], plans: Sequence[FoldPlan]) -> dict[str, Any]:
    """What the ensemble's metadata say about its training images."""
    facts: dict[str, Any] = {
        "cohort": cohorts.cohort.root.name,
        "cohort_digest": cohorts.cohort.digest,
        "view": cohorts.view,
        "phantom": cohorts.phantom,
        "generators": cohorts.generators,
        "foreign_generators": cohorts.foreign_generators,
        "auxiliary_cohorts": [f"{extra.root.name} {extra.digest}" for extra in cohorts.auxiliary],
    }
    auxiliary, seen = classes[len(cohorts.cohort.conditions) :], cohorts.seen_images(plans)
    if descriptions := cohorts.cohort.descriptions:
        facts["described"] = list(descriptions.values())
    if auxiliary:
        facts["auxiliary"] = auxiliary
    if seen is not None:
        facts["seen_images"] = seen
    return facts
