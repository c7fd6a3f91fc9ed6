"""A training made ready: its images, its networks as new, transferred or resumed, its description."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console

from morphoscope.cohort import TEST_FOLD, Cohort, CohortInput
from morphoscope.configs import UserError, arguments
from morphoscope.configs.generator import DEFAULT_NETWORK, GeneratorTraining, ResolvedTraining
from morphoscope.configs.views import View
from morphoscope.generate.description import Ancestor, SnapshotMetadata
from morphoscope.generate.metrics import (
    FeatureNetwork,
    SeenAndHeldOut,
    load_feature_network,
    seen_and_held_out,
)
from morphoscope.generate.metrics.caching import prepared_images
from morphoscope.generate.snapshots import read_snapshot_metadata
from morphoscope.generate.training.architecture import (
    after_transfer,
    discriminator_kwargs,
    generator_kwargs,
)
from morphoscope.generate.training.resume import (
    Unfinished,
    read_unfinished,
    recorded,
    resume,
    resumed_ancestry,
    resumed_config,
)
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.generate.training.transfer import transfer_weights
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.precision import check_precision
from morphoscope.runtime import Request
from morphoscope.runtime.runs import recorded_request
from morphoscope.runtime.terminal import say
from morphoscope.runtime.torch_devices import set_precision
from morphoscope.runtime.torch_memory import keep_freed_memory
from morphoscope.runtime.torch_processes import Processes

log = logging.getLogger(__name__)

# What an unconditional training calls all its images.
ALL = "all"

Claim = Callable[[Request, dict[str, Any] | None], bool]
"""Takes what is requested and what an interrupted run was; returns whether another run was removed."""


@dataclass
class Preparation:
    """A training that is ready to start or to resume.

    Attributes:
        part: the rows that are trained on.
        images: of `part`, uint8 [M, R, R, 3]; in grey if they are trained on in grey.
        metadata: of the snapshots that it will write, apart from their kimg.
        comparison: what is trained on and what is held out for choosing snapshots and for finding copies; the
            test fold is not among it. None if no fold is held out.
        resumed: whether it continues an interrupted run.
    """

    trainer: GeneratorTrainer
    part: Cohort
    images: np.ndarray
    metadata: SnapshotMetadata
    comparison: SeenAndHeldOut | None
    resumed: bool


def prepare(
    config: GeneratorTraining,
    cohort: Cohort,
    folder: Path,
    exclude_folds: list[str] | None,
    start_from: Path | None,
    processes: Processes,
    console: Console,
    claim: Claim,
) -> Preparation:
    """Build the trainer: new, from a snapshot, or as an interrupted run left it in `folder`.

    Nothing is written but caches.

    Args:
        claim: makes sure, before anything is built, that the folder is for this training.

    Raises:
        UserError: as `train_generator`.
    """
    exclude_folds = [] if exclude_folds is None else exclude_folds
    check_training(config, cohort, exclude_folds, start_from)
    where = processes.device
    check_precision(config.training.precision, where)
    set_precision(where, config.training.tf32)
    if where.type == "cpu":
        keep_freed_memory()
    part = training_part(cohort, exclude_folds, config.conditions.conditional, config.images.view)
    unfinished = read_unfinished(folder)
    described = _describe(config, cohort, part, folder, start_from, unfinished, processes)
    if _claimed_from_another(claim, described, cohort, folder, unfinished, processes):
        unfinished = None
        described = _describe(config, cohort, part, folder, start_from, None, processes)
    resolved, metadata = described.config, described.metadata
    if described.changed and processes.is_main:
        say(f"Changed, because training starts from {start_from}: {', '.join(described.changed)}", to=console)
    if metadata.foreign and unfinished is None and processes.is_main:
        log.warning(
            "The training starts from a foreign model. The images that it was trained on are unknown, so no "
            "leak check can cover them; snapshots and synthetic images record this."
        )
    end = resolved.conditions.transition_end_kimg
    if end is not None and end > resolved.training.kimg:
        log.warning(
            "The training ends at %g kimg, before the transition ends at %g.", resolved.training.kimg, end
        )
    processes.on_main(lambda: native_runs(where.type, where.index))  # one process builds kernels for all
    images = _images(part, resolved, processes)
    channels = images[..., : resolved.images.img_channels]
    trainer = GeneratorTrainer(resolved, channels, part.labels, part.conditions, processes)
    if unfinished is not None:
        resume(trainer, folder, unfinished)
    elif start_from is not None:
        initialised = ", ".join(transfer_weights(trainer, start_from, part.conditions))
        if initialised and processes.is_main:
            say(f"Re-initialised, because {start_from} has no match: {initialised}", to=console)
    comparison = _comparison(cohort, metadata, resolved.conditions.conditional)
    return Preparation(trainer, part, images, metadata, comparison, resumed=unfinished is not None)


def _comparison(cohort: Cohort, metadata: SnapshotMetadata, conditional: bool) -> SeenAndHeldOut | None:
    """Training images and held-out ones, with the conditions of the training."""
    found = seen_and_held_out(cohort, "training", metadata)
    if found is None or conditional:
        return found
    return SeenAndHeldOut(*(part.as_one_condition(ALL) for part in found))


class _Description(NamedTuple):
    """A training before anything is built.

    Attributes:
        changed: settings that the snapshot that it starts from changes.
    """

    config: ResolvedTraining
    metadata: SnapshotMetadata
    changed: list[str]


def _describe(
    config: GeneratorTraining,
    cohort: Cohort,
    part: Cohort,
    folder: Path,
    start_from: Path | None,
    unfinished: Unfinished | None,
    processes: Processes,
) -> _Description:
    snapshot = None if start_from is None else read_snapshot_metadata(start_from)
    ancestry = [] if snapshot is None else snapshot.lineage
    changed: list[str] = []
    if unfinished is not None:
        ancestry = resumed_ancestry(folder, unfinished, ancestry)
        config = resumed_config(config, unfinished, processes.world)
    elif snapshot is not None:
        config, changed = after_transfer(config, snapshot)
    resolved = config.resolved(processes.world)
    return _Description(resolved, _metadata(folder, resolved, cohort, part, ancestry), changed)


def _claimed_from_another(
    claim: Claim,
    described: _Description,
    cohort: Cohort,
    folder: Path,
    unfinished: Unfinished | None,
    processes: Processes,
) -> bool:
    """Claim the folder in the main process; whether another run's files were removed from it."""

    def claim_or_refuse() -> bool:
        metadata = described.metadata
        inputs = {
            "cohort": CohortInput(cohort),
            "trained_on_folds": metadata.trained_on_folds,
            "started_from": [ancestor.cohort_digest for ancestor in metadata.started_from],
        }
        earlier = None
        if unfinished is not None:
            earlier = recorded(unfinished, recorded_request(folder))
            earlier["inputs"]["started_from"] = inputs["started_from"]  # `resumed_ancestry` has compared it
        return claim(Request(described.config, inputs), earlier)

    return processes.on_main(claim_or_refuse)


def check_training(config: object, cohort: object, exclude_folds: object, start_from: object) -> None:
    """Raise UserError for an argument of another type."""
    arguments.instance("config", config, GeneratorTraining, "a GeneratorTraining, e.g. from load_config")
    arguments.instance("cohort", cohort, Cohort, "a Cohort, e.g. from Cohort.load")
    arguments.listed("exclude_folds", exclude_folds, str, "a list of names of folds")
    if start_from is not None:
        arguments.path("start_from", start_from, "the path of a snapshot")


def check_processes(processes: Processes | None) -> Processes:
    """The processes that train together, or else this one, on the CPU."""
    if processes is None:
        return Processes(torch.device("cpu"))
    return arguments.instance("processes", processes, Processes, "Processes, or None")


def feature_network(source: str | None, device: torch.device) -> FeatureNetwork | None:
    """The network that the metrics use; None, with a warning, where the default one is not installed.

    Raises:
        UserError: `source` is not the default, and cannot be loaded.
    """
    if source is None:
        return None
    try:
        return load_feature_network(source, device)
    except UserError as error:
        if source != DEFAULT_NETWORK:
            raise
        log.warning("Metrics and the collapse alarm are off for this training: %s", error)
        return None


def _images(part: Cohort, config: ResolvedTraining, processes: Processes) -> np.ndarray:
    """The training images, uint8 [M, R, R, 3], perhaps in grey; the main process fills the cache first."""

    def fill() -> None:
        part.images(config.images.resolution, config.images.fit)

    if processes.world > 1:
        processes.on_main(fill)
    shown = config.images
    return prepared_images(part, shown.resolution, shown.fit, grey=shown.img_channels == 1)


def training_part(
    cohort: Cohort, exclude_folds: list[str], conditional: bool = True, view: View | None = None
) -> Cohort:
    """The real rows outside the test fold and `exclude_folds`; errors as for `train_generator`.

    Args:
        conditional: if not, all images get the same condition, `ALL`.
        view: only rows of this view; None for all views.
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
    folder: Path, config: ResolvedTraining, cohort: Cohort, part: Cohort, ancestry: list[Ancestor]
) -> SnapshotMetadata:
    """The metadata of this training's snapshots; `part` holds the rows that are trained on.

    Folds of the same cohort that an ancestor was trained on count as trained on here too.
    """
    folds = set(part.rows["fold"])
    for ancestor in ancestry:
        if ancestor.cohort_digest == cohort.digest:
            folds |= set(ancestor.trained_on_folds)
    values = {
        "conditions": part.conditions,
        "cohort_digest": cohort.digest,
        "trained_on_folds": sorted(folds),
        "started_from": [ancestor.model_dump() for ancestor in ancestry],
        "images": len(part),
        "phantom": cohort.phantom,
        "config": config.model_dump(mode="json"),
        "generator": generator_kwargs(config, part.conditions),
        "discriminator": discriminator_kwargs(config, part.conditions),
    }
    if descriptions := part.descriptions:
        values["described"] = [one.model_dump() for one in descriptions.values()]
    return SnapshotMetadata.from_json(values, folder)
