"""A whole training: from a cohort and a config to snapshots in a run folder (spec 4)."""

from contextlib import nullcontext
from pathlib import Path

import torch
from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.training.loop import TrainingLoop
from morphoscope.generate.training.preparation import Preparation, feature_network, prepare
from morphoscope.generate.training.records import snapshots
from morphoscope.generate.training.tracking import open_trackers
from morphoscope.generate.training.watch import Watch, is_told, write_reals
from morphoscope.runtime import RunFolder, terminal
from morphoscope.runtime.torch_processes import Processes


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
        processes: those that train together (`runtime.torch_processes`); on the CPU alone if None.

    Raises:
        UserError: rows without folds, no image left, an unusable snapshot, a run folder of another config, a
            training that diverged, a folder that cannot be written.
        KeyboardInterrupt: it was asked to stop, by Ctrl-C or SIGTERM, and has saved its state.
    """
    processes = processes or Processes(torch.device("cpu"))
    console = console or terminal.console(stderr=True)
    try:
        prepared = prepare(config, cohort, run.path, exclude_folds or [], start_from, processes, console)
        trainer = prepared.trainer
        if not processes.same(trainer.iteration):
            raise UserError(f"{run.path}: the processes see different states; they must share this folder.")
        finished = trainer.images_seen >= trainer.config.training.kimg * 1000
        if finished and processes.on_main(lambda: is_told(run.path)):
            return snapshots(run.path)[-1]
        watch: Watch | None = None

        def begin() -> None:
            nonlocal watch
            watch = _watch(prepared, run, console)

        processes.on_main(begin)
    except UserError:
        if processes.is_main:
            run.remove_if_empty()
        raise
    loop = TrainingLoop(trainer, run, prepared.metadata, watch)
    with watch or nullcontext():
        if watch is not None and prepared.resumed:
            watch.catch_up(finished)
        if not finished:
            loop.train()
        if watch is not None and not finished and not loop.interrupted:
            watch.end()
    if loop.interrupted:
        raise KeyboardInterrupt(
            f"Stopped at {trainer.images_seen / 1000:.1f} kimg. Re-run the command with the same --run to "
            "resume."
        )
    return Path(processes.on_main(lambda: str(snapshots(run.path)[-1])))


def _watch(prepared: Preparation, run: RunFolder, console: Console) -> Watch:
    """Open what a training is watched by, and leave its config in the run folder."""
    trainer, config = prepared.trainer, prepared.trainer.config
    earlier = snapshots(run.path)
    if earlier and not prepared.resumed:
        raise UserError(
            f"{run.path}: holds snapshots of a training but no state to go on from. Give another run folder, "
            f"with --start-from {earlier[-1]} to build on them."
        )
    kimg = trainer.images_seen / 1000
    network = feature_network(config.logging.metric_network, trainer.device)
    trackers = open_trackers(config.logging.track, run.path, kimg)
    run.forget_after("kimg", kimg)
    described = prepared.metadata.as_json()
    facts = {name: described[name] for name in ("cohort_digest", "trained_on_folds", "started_from")}
    run.write_config(config, **facts)
    write_reals(run.path / "reals.png", prepared.images, prepared.part)
    return Watch(config, run, prepared.part, network, trackers, trainer.device, console, kimg)
