"""A whole training: from a cohort and a config to snapshots in a run folder (spec 4)."""

import logging
from contextlib import nullcontext
from pathlib import Path

import torch
from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.metrics import DEFAULT_NETWORK, FeatureNetwork, load_feature_network
from morphoscope.generate.training.keeping import snapshots
from morphoscope.generate.training.loop import TrainingLoop
from morphoscope.generate.training.preparation import Preparation, prepare
from morphoscope.generate.training.tracking import open_trackers
from morphoscope.generate.training.watch import Watch, write_reals
from morphoscope.ops.runtime import Processes, RunFolder

log = logging.getLogger(__name__)


def train_generator(
    config: GeneratorTraining,
    cohort: Cohort,
    run: RunFolder,
    *,
    exclude_folds: list[str] | None = None,
    start_from: Path | None = None,
    processes: Processes | None = None,
    console: Console | None = None,
) -> Path:
    """Train in `run`, or go on there after an interruption; return the newest snapshot.

    Args:
        config: its None fields are resolved here.
        cohort: real rows with folds; the test fold is never trained on.
        exclude_folds: further folds to leave out, so that classifiers validated on them may use the images.
        start_from: a snapshot to start from, e.g. of other conditions or of half the resolution; may be left
            out when an interrupted run goes on.
        processes: those that train together (`ops.runtime.joined`); on the CPU alone if not given.

    Raises:
        UserError: rows without folds, no image left, an unusable snapshot, a run folder of another config, a
            training that diverged, a folder that cannot be written.
        KeyboardInterrupt: it was asked to stop, by Ctrl-C or SIGTERM, and has saved its state.
    """
    processes = processes or Processes(torch.device("cpu"))
    console = console or Console(stderr=True)
    prepared = prepare(config, cohort, run.path, exclude_folds or [], start_from, processes, console)
    trainer = prepared.trainer
    earlier = snapshots(run.path)
    if trainer.images_seen >= trainer.config.kimg * 1000 and earlier:
        return earlier[-1]  # nothing to do; its digest is written beside images, so it stays as it is
    watch: Watch | None = None

    def begin() -> None:
        nonlocal watch
        watch = _watch(prepared, run, console)

    processes.on_main(begin)
    loop = TrainingLoop(trainer, run, prepared.metadata, watch)
    with watch or nullcontext():
        newest = loop.train()
    if loop.interrupted:
        if processes.is_main:
            console.print(f"Stopped at {trainer.images_seen / 1000:.1f} kimg; train again to go on.")
        raise KeyboardInterrupt
    return newest


def _feature_network(source: str | None, device: torch.device) -> FeatureNetwork | None:
    """The network of the metrics; none, and a word about it, where the default is not installed."""
    if source is None:
        return None
    try:
        return load_feature_network(source, device)
    except UserError as error:
        if source != DEFAULT_NETWORK:
            raise
        log.warning("This training is not measured, nor is collapse noticed: %s", error)
        return None


def _watch(prepared: Preparation, run: RunFolder, console: Console) -> Watch:
    """Open what a training is watched by, and leave its config in a new run folder."""
    trainer, config = prepared.trainer, prepared.trainer.config
    network = _feature_network(config.metric_network, trainer.device)
    kimg = trainer.images_seen / 1000
    if prepared.resumed:
        run.forget_after(kimg)
    else:
        facts = {key: prepared.metadata[key] for key in ("cohort_digest", "trained_on_folds", "started_from")}
        run.write_config(config, **facts)
        write_reals(run.path / "reals.png", prepared.images, prepared.part)
    trackers = open_trackers(config.track, run.path, kimg)
    return Watch(config, run, prepared.part, network, trackers, trainer.device, console, kimg)
