"""Training of the whole ensemble: one model a fold, in a run folder that a second start continues."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import torch

from morphoscope.classify.description import MAX_IMAGES, EnsembleMetadata, FoldScores
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation import evaluate
from morphoscope.classify.inputs.pairs import PairedImages, form_pairs
from morphoscope.classify.inputs.views import require_halves
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.training.auxiliary import (
    auxiliary_targets,
    joint_classes,
    require_every_class,
)
from morphoscope.classify.training.fold import FoldState, FoldTrainer
from morphoscope.classify.training.plans import FoldPlan, plan_folds
from morphoscope.classify.training.pool import ImagePool, PoolPart, class_targets
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.schema import Resume, fields_marked, fields_of
from morphoscope.configs.views import View
from morphoscope.runtime import Interruption, RunFolder, write_text
from morphoscope.runtime.terminal import progress, say
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint
from morphoscope.runtime.torch_devices import resolve_device

FOLD_KIND = "classifier_fold"


def train_ensemble(
    config: EnsembleTraining,
    cohort: Cohort,
    run: RunFolder,
    synthetic: Sequence[Cohort] = (),
    folds: Sequence[str] | None = None,
    device: str = "auto",
    auxiliary: Sequence[Cohort] = (),
    view: View | None = None,
) -> Ensemble:
    """Train one classifier a fold on real images of the other folds and on synthetic images that cannot leak.

    Fold j's model never sees images of fold j or of the fold "test", nor synthetic images of a generator that
    did. Kept is its epoch with the highest balanced accuracy on fold j or, without `config.patience`, its
    last. Auxiliary cohorts are learnt in one softmax with the cohort's conditions and play no part in
    validation and evaluation.

    The run folder gets `folds/fold-J.safetensors` as each fold ends, `ensemble.safetensors`, and
    `out_of_fold/` (metrics, probabilities and confusion matrix of every image, judged by the one model that
    did not train on it). Called again with the same run folder, it continues at the first unfinished epoch.

    A user's error before anything is trained leaves no empty run folder behind.

    A dual-view model (`config.views`) learns from the pairs that `form_pairs` makes of a fold's images.

    Args:
        cohort: real images with folds.
        synthetic: cohorts written by `morphoscope.generate.augment`.
        folds: names of the folds to train; all if None.
        device: auto, cpu, cuda or cuda:N.
        auxiliary: cohorts of other conditions, e.g. common lesions; `config.auxiliary_names` settles names.
        view: of the cohort's images, those to train and validate on; all if None.

    Raises:
        UserError: rules of `plan_folds` and `joint_classes`, synthetic rows in `cohort`, weights that cannot
            be had, a view for a dual-view model, synthetic or auxiliary images that are neither of its views,
            or a run folder begun with other inputs.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM; finished folds and epochs are kept.
    """
    try:
        resolved = resolve_device(device)
        material, plans = _prepare(config, cohort, synthetic, folds, auxiliary, view)
        if not _begun(run):  # a model that cannot be had is told before images are resized
            own = len(cohort.conditions)
            ConditionClassifier.pretrained(config, own, len(material.classes) - own)
        fingerprint = _claim(run, config, material)
    except UserError:
        run.remove_if_empty()
        raise
    run.write_config(config, cohort=cohort.root, cohort_digest=cohort.digest, view=view, device=resolved)
    models, scores = _train_folds(config, material, run, plans, resolved, fingerprint)
    metadata = EnsembleMetadata(
        cohort=cohort.root.name,
        cohort_digest=cohort.digest,
        view=view,
        phantom=all(part.phantom for part in (cohort, *synthetic, *auxiliary)),
        generators=sorted({name for extra in synthetic for name in extra.rows["generator"]}),
        scores=scores,
        **_auxiliary_facts(material),
        **_seen_images(plans, material),
        config=config,
        conditions=cohort.conditions,
        folds=list(models),
    )
    ensemble = Ensemble(metadata, models, resolved)
    ensemble.calibrate(cohort)
    ensemble.save(run.path / "ensemble.safetensors")
    evaluate(ensemble, cohort, rows="out_of_fold").write(run.path / "out_of_fold")
    return ensemble


def _prepare(
    config: EnsembleTraining,
    cohort: Cohort,
    synthetic: Sequence[Cohort],
    folds: Sequence[str] | None,
    auxiliary: Sequence[Cohort],
    view: View | None,
) -> tuple["_Material", list[FoldPlan]]:
    """What is trained on, and the plan of each fold; refuses, as `train_ensemble` says, what may not be."""
    dual = config.images.views == "dual"
    _check_cohort(cohort)
    if dual:
        _check_views(view, (*synthetic, *auxiliary))
    classes = joint_classes(cohort, auxiliary, config.images.auxiliary_names)
    plans = plan_folds(
        cohort, synthetic, folds, config.images.synthetic_per_real, config.seed, auxiliary, view, dual
    )
    for plan in plans:
        require_every_class(plan.fold, auxiliary, plan.auxiliary, config.images.auxiliary_names)
    return _Material(cohort, synthetic, auxiliary, classes, view), plans


def _check_cohort(cohort: Cohort) -> None:
    if len(cohort.conditions) < 2:
        raise UserError(
            f"{cohort.root}: a classifier needs at least two conditions, not {cohort.conditions}."
        )
    generated = cohort.rows["file"][cohort.rows["source"] != "real"].tolist()
    if generated:
        raise UserError(
            f"{cohort.root}: {len(generated)} synthetic images among the real ones (e.g. {generated[0]}); "
            "keep them in a cohort of their own and pass that with --synthetic."
        )


def _check_views(view: View | None, others: Sequence[Cohort]) -> None:
    """That a dual-view model is given both views; `others` are synthetic and auxiliary cohorts."""
    if view is not None:
        raise UserError(f"views 'dual' takes focused and panoramic images: leave out --view {view}.")
    for extra in others:
        require_halves(extra)


@dataclass(frozen=True)
class _Material:
    """What is trained on; `classes` are the cohort's conditions, then the auxiliary classes."""

    cohort: Cohort
    synthetic: Sequence[Cohort]
    auxiliary: Sequence[Cohort]
    classes: list[str]
    view: View | None

    @property
    def parts(self) -> list[Cohort]:
        """In the order of `FoldPlan.learnt`."""
        return [self.cohort, *self.synthetic, *self.auxiliary]

    def targets(self, names: Mapping[str, str]) -> list[np.ndarray]:
        """Each part's, float32 [N, K+M]; `names` as for `joint_classes`."""
        own = [class_targets(part, self.classes) for part in (self.cohort, *self.synthetic)]
        return own + [auxiliary_targets(extra, self.classes, names) for extra in self.auxiliary]


def _train_folds(
    config: EnsembleTraining,
    material: _Material,
    run: RunFolder,
    plans: Sequence[FoldPlan],
    device: torch.device,
    fingerprint: str,
) -> tuple[dict[str, ConditionClassifier], dict[str, FoldScores]]:
    """({fold: model}, {fold: scores}); folds whose file is already in the run folder are read from it."""
    targets = material.targets(config.images.auxiliary_names)
    images = [part.images(config.images.resolution, config.images.fit) for part in material.parts]
    parts = list(zip(material.parts, images, targets, strict=True))
    dual = config.images.views == "dual"
    own = len(material.cohort.conditions)
    models, scores = {}, {}
    with Interruption() as interruption, _Display(run) as display:
        for plan in plans:
            path = run.path / "folds" / f"fold-{plan.fold}.safetensors"
            if not path.is_file():
                display.start(plan)
                pools = _fold_pools(plan, parts, dual)
                trainer = FoldTrainer(plan.fold, config, *pools, own, device)
                state_file = path.with_suffix(".state.pt")
                _write_fold(path, plan, trainer.fit(state_file, interruption, display), fingerprint)
                state_file.unlink(missing_ok=True)
            model = ConditionClassifier(config, own, len(material.classes) - own)
            scores[plan.fold] = _read_fold(path, model, fingerprint)
            models[plan.fold] = model
    return models, scores


def _auxiliary_facts(material: _Material) -> dict[str, list[str]]:
    """Metadata about what was learnt along, if anything was."""
    names = material.classes[len(material.cohort.conditions) :]
    facts = {"auxiliary_cohorts": [f"{extra.root.name} {extra.digest}" for extra in material.auxiliary]}
    return {**facts, "auxiliary": names} if names else facts


def _seen_images(plans: Sequence[FoldPlan], material: _Material) -> dict[str, list[str]]:
    """{"seen_images": sorted hashes of all images that trained or chose a model}; {} if they are too many."""
    seen: set[str] = set()
    for plan in plans:
        seen.update(material.cohort.image_hashes[row] for row in plan.validation)
        for part, chosen in zip(material.parts, plan.learnt, strict=True):
            seen.update(part.image_hashes[row] for row in chosen)
    return {"seen_images": sorted(seen)} if len(seen) <= MAX_IMAGES else {}


def _claim(run: RunFolder, config: EnsembleTraining, material: _Material) -> str:
    """Mark the run folder with what it is for; refuse one in which something else was trained.

    Fields that may change when a run resumes count as left at their defaults.
    """
    fields = fields_of(EnsembleTraining)
    free = {name: fields[name].info.default for name in fields_marked(EnsembleTraining, Resume.MAY_CHANGE)}
    facts = {
        "config": config.model_copy(update=free).model_dump(mode="json"),
        "cohort": material.cohort.digest,
        "synthetic": [extra.digest for extra in material.synthetic],
        "auxiliary": [extra.digest for extra in material.auxiliary],
        "view": material.view,
    }
    fingerprint = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    path = run.path / "fingerprint.txt"
    if _begun(run) and path.is_file() and path.read_text(encoding="utf-8").strip() != fingerprint:
        raise UserError(
            f"{run.path}: this run folder was begun with another config, view or cohort (be it real, "
            "synthetic or auxiliary); give the same ones to continue it, or another run folder."
        )
    write_text(path, fingerprint + "\n")
    return fingerprint


def _begun(run: RunFolder) -> bool:
    return any((run.path / "folds").glob("fold-*"))


def _fold_pools(
    plan: FoldPlan, parts: Sequence[tuple[Cohort, np.ndarray, np.ndarray]], dual: bool
) -> tuple[ImagePool, ImagePool]:
    """(training, validation) images or pairs of one fold; parts are (cohort, images, targets), real first."""
    training = [_chosen(*part, rows, dual) for part, rows in zip(parts, plan.learnt, strict=True)]
    return ImagePool.of(training), ImagePool.of([_chosen(*parts[0], plan.validation, dual)])


def _chosen(
    cohort: Cohort, images: np.ndarray, targets: np.ndarray, rows: np.ndarray, dual: bool
) -> PoolPart:
    """The rows of a cohort for a pool; for a dual-view model the pairs that they form."""
    if not dual:
        return images, targets, rows
    pairs = form_pairs(cohort.rows, rows)
    return PairedImages(images, pairs), targets[pairs.max(axis=1)], np.arange(len(pairs))


def _write_fold(path: Path, plan: FoldPlan, state: FoldState, fingerprint: str) -> None:
    facts = {
        "fold": plan.fold,
        "fingerprint": fingerprint,
        "balanced_accuracy": state.kept_score,
        "epoch": state.kept_epoch + 1,
        "training_images": _counts(plan),
        "validation_images": len(plan.validation),
    }
    write_checkpoint(path, FOLD_KIND, state.kept_weights, facts)


def _counts(plan: FoldPlan) -> dict[str, int]:
    """Training images by their kind."""
    counts = {"real": len(plan.training), "synthetic": sum(map(len, plan.synthetic))}
    return {**counts, "auxiliary": sum(map(len, plan.auxiliary))} if plan.auxiliary else counts


def _read_fold(path: Path, model: ConditionClassifier, fingerprint: str) -> FoldScores:
    """Load a fold's weights into `model`; returns its scores."""
    weights, facts = read_checkpoint(path, FOLD_KIND)
    if facts.get("fingerprint") != fingerprint:
        raise UserError(f"{path}: belongs to another training; delete it to train this fold anew.")
    model.load_state_dict(weights)
    return FoldScores(**{name: facts[name] for name in FoldScores.model_fields})


class _Display:
    """Progress bars, one a fold, and the run's stats."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._progress = progress()
        self._fold = ""

    def __enter__(self) -> "_Display":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, plan: FoldPlan) -> None:
        self._fold = plan.fold
        self._task = self._progress.add_task(f"fold {plan.fold}", total=None)
        counts = ", ".join(f"{count} {kind}" for kind, count in _counts(plan).items())
        self._say(f"fold {plan.fold}: {counts} training images, {len(plan.validation)} for validation")

    def begin(self, fold: str, epoch: int) -> None:
        self._run.forget_after("epoch", epoch, fold=fold)

    def step(self, done: int, total: int, epoch: int) -> None:
        description = f"fold {self._fold}, epoch {epoch + 1}"
        self._progress.update(self._task, completed=done, total=total, description=description)

    def epoch(self, fold: str, epoch: int, **values: float) -> None:
        self._run.append("stats.jsonl", fold=fold, epoch=epoch + 1, **values)
        self._say(
            f"fold {fold}, epoch {epoch + 1}: loss {values['loss']:.3f}, "
            f"balanced accuracy in validation {values['balanced_accuracy']:.3f}"
        )

    def _say(self, text: str) -> None:
        """One line above the progress bars."""
        say(text, to=self._progress.console)
