"""A training made ready: its images, its networks as new, transferred or resumed, its description."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError
from morphoscope.configs.generator import DEFAULT_NETWORK, GeneratorTraining, ResolvedTraining
from morphoscope.configs.views import View
from morphoscope.generate.description import checked_metadata
from morphoscope.generate.metrics import FeatureNetwork, load_feature_network
from morphoscope.generate.snapshots import KIND
from morphoscope.generate.training.architecture import (
    after_transfer,
    discriminator_kwargs,
    generator_kwargs,
)
from morphoscope.generate.training.resume import as_begun, read_unfinished, resume, resumed_ancestry
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.generate.training.transfer import start_from as transfer
from morphoscope.ops.dispatch import native_runs
from morphoscope.runtime.torch_checkpoints import read_metadata
from morphoscope.runtime.torch_devices import set_precision
from morphoscope.runtime.torch_memory import keep_freed_memory
from morphoscope.runtime.torch_processes import Processes

log = logging.getLogger(__name__)

# What an unconditional training calls all its images.
ALL = "all"


@dataclass
class Preparation:
    """A training ready to begin, or (`resumed`) to go on.

    Attributes:
        part: the rows that are trained on.
        images: theirs, uint8 [M, R, R, 3].
        metadata: what the snapshots say of themselves.
    """

    trainer: GeneratorTrainer
    part: Cohort
    images: np.ndarray
    metadata: dict[str, Any]
    resumed: bool


def prepare(
    config: GeneratorTraining,
    cohort: Cohort,
    folder: Path,
    exclude_folds: list[str],
    start_from: Path | None,
    processes: Processes,
    console: Console,
) -> Preparation:
    """Build the trainer, anew, from a snapshot, or as an interrupted run left it in `folder`; write
    nothing but caches.

    Raises:
        UserError: as `train_generator`.
    """
    where = processes.device
    set_precision(where, config.tf32)
    if where.type == "cpu":
        keep_freed_memory()
    processes.on_main(lambda: native_runs(where.type, where.index))  # one builds kernels for all
    part = training_part(cohort, exclude_folds, config.conditional, config.view)
    state = read_unfinished(folder)
    ancestor = None if start_from is None else _described(start_from)
    ancestry = [] if ancestor is None else _ancestry(ancestor)
    if state is not None:
        ancestry = resumed_ancestry(folder, state, ancestry)
        config = as_begun(config, state, processes.world)
    elif ancestor is not None:
        config, adopted = after_transfer(config, ancestor)
        if adopted and processes.is_main:
            console.print(f"As {start_from} has it: {', '.join(adopted)}", highlight=False)
    resolved = config.resolved(processes.world)
    end = resolved.transition_end_kimg
    if end is not None and end > resolved.kimg:
        log.warning("The training ends at %g kimg, before the transition does at %g.", resolved.kimg, end)
    metadata = _metadata(resolved, cohort, part, ancestry)
    checked_metadata(folder, metadata)
    images = _images(part, resolved, processes)
    trainer = GeneratorTrainer(resolved, images, part.labels, part.conditions, processes)
    if state is not None:
        resume(trainer, folder, state, metadata)
    elif start_from is not None:
        anew = transfer(trainer, start_from, part.conditions)
        if anew and processes.is_main:
            listed = ", ".join(anew)
            console.print(f"Starting anew, since {start_from} has no match: {listed}", highlight=False)
    return Preparation(trainer, part, images, metadata, resumed=state is not None)


def feature_network(source: str | None, device: torch.device) -> FeatureNetwork | None:
    """The network of the metrics; none, and a word about it, where the default is not installed.

    Raises:
        UserError: `source` is neither the default nor a file of weights.
    """
    if source is None:
        return None
    try:
        return load_feature_network(source, device)
    except UserError as error:
        if source != DEFAULT_NETWORK:
            raise
        log.warning("This training is not measured, nor is collapse noticed: %s", error)
        return None


def _images(part: Cohort, config: ResolvedTraining, processes: Processes) -> np.ndarray:
    """The training images; the main process fills the cache, from which the others then read."""

    def fill() -> None:
        part.images(config.resolution, config.fit)

    if processes.world > 1:
        processes.on_main(fill)
    return part.images(config.resolution, config.fit)


def training_part(
    cohort: Cohort, exclude_folds: list[str], conditional: bool = True, view: View | None = None
) -> Cohort:
    """The real rows outside the test fold and `exclude_folds`; errors as for `train_generator`.

    Args:
        conditional: else all images get one and the same condition, `ALL`.
        view: only those of this view; None for all.
    """
    rows = cohort.rows
    real = rows["source"] == "real"
    if (rows["fold"][real] == "").any():
        raise UserError(
            f"{cohort.root}: some rows have no fold; run `morphoscope cohort split {cohort.root}` first, "
            "so that images kept for testing stay out of the generator."
        )
    unknown = set(exclude_folds) - set(rows["fold"])
    if unknown:
        raise UserError(f"--exclude-folds: {cohort.root} has no fold {', '.join(sorted(unknown))}.")
    chosen = real & ~rows["fold"].isin([TEST_FOLD, *exclude_folds])
    part = cohort.select(chosen if view is None else chosen & (rows["view"] == view))
    missing = [name for k, name in enumerate(cohort.conditions) if k not in set(part.labels)]
    if missing:
        kind = "training image" if view is None else f"{view} training image"
        raise UserError(f"{cohort.root}: no {kind} of {', '.join(missing)} outside the excluded folds.")
    return part if conditional else part.as_one_condition(ALL)


def _metadata(
    config: ResolvedTraining, cohort: Cohort, part: Cohort, ancestry: list[dict[str, Any]]
) -> dict[str, Any]:
    """What a snapshot says of itself, beside its weights; `part` is what is trained on.

    The folds that an ancestor has seen of the same cohort count as trained on here too.
    """
    folds = set(part.rows["fold"])
    for link in ancestry:
        if link["cohort_digest"] == cohort.digest:
            folds |= set(link["trained_on_folds"])
    return {
        "conditions": part.conditions,
        "cohort_digest": cohort.digest,
        "trained_on_folds": sorted(folds),
        "started_from": ancestry,
        "images": len(part),
        "phantom": cohort.phantom,
        "config": config.model_dump(mode="json"),
        "generator": generator_kwargs(config, part.conditions),
        "discriminator": discriminator_kwargs(config, part.conditions),
    }


def _described(snapshot: Path) -> dict[str, Any]:
    """What a snapshot says of itself, without its weights."""
    return checked_metadata(snapshot, read_metadata(snapshot, KIND))[1]


def _ancestry(ancestor: dict[str, Any]) -> list[dict[str, Any]]:
    """The links of a training that starts from a snapshot with this metadata: it, then its own ancestors."""
    own = {key: ancestor[key] for key in ("cohort_digest", "trained_on_folds", "phantom")}
    return [own, *ancestor["started_from"]]
