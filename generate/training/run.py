"""A complete training: from a cohort and a config to snapshots in a run folder (spec 4)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError, arguments
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.training.loop import TrainingLoop
from morphoscope.generate.training.preparation import (
    Preparation,
    check_processes,
    feature_network,
    prepare,
)
from morphoscope.generate.training.records import list_snapshots
from morphoscope.generate.training.tracking import open_trackers
from morphoscope.generate.training.watch import Watch, forget_unfinished_measurement, has_film, write_reals
from morphoscope.runtime import Request, RunFolder, terminal
from morphoscope.runtime.progress import working
from morphoscope.runtime.torch_processes import Processes


def train_generator(
    config: GeneratorTraining,
    cohort: Cohort,
    run: RunFolder,
    *,
    exclude_folds: list[str] | None = None,
    start_from: Path | None = None,
    overwrite: bool = False,
    processes: Processes | None = None,
    console: Console | None = None,
) -> Path:
    """Train in `run`, or resume an interrupted training there; return the newest snapshot.

    Args:
        config: its None fields are resolved here.
        cohort: real rows with folds; the test fold is never trained on.
        exclude_folds: further folds to leave out, so that classifiers validated on them may use the images.
        start_from: a snapshot to start from, e.g. of other conditions or of half the resolution; may be left
            out when an interrupted run resumes.
        overwrite: if the run folder holds another training, delete the files that it wrote.
        processes: those that train together (`runtime.torch_processes`); None is this one, on the CPU.
        console: shows progress and messages; stderr by default.

    Raises:
        UserError: rows without folds, no image left, an unusable snapshot, a run folder that is in use or of
            another config, a training that diverged, a folder that cannot be written.
        KeyboardInterrupt: Ctrl-C or SIGTERM stopped it, after it saved its state.
    """
    arguments.instance("run", run, RunFolder, "a RunFolder")
    arguments.flag("overwrite", overwrite)
    processes = check_processes(processes)
    console = console or terminal.console(stderr=True)
    with _held(run, processes):

        def claim(request: Request, earlier: dict[str, Any] | None) -> bool:
            return run.claim(request, overwrite=overwrite, earlier=earlier)

        with working("Preparing the training", to=console, transient=True):
            prepared = prepare(config, cohort, run.path, exclude_folds, start_from, processes, console, claim)
        return _train(prepared, run, processes, console)


@contextmanager
def _held(run: RunFolder, processes: Processes) -> Iterator[None]:
    """Hold the run folder for all processes, in the main one; UserError in all if another program does."""
    with ExitStack() as stack:
        processes.on_main(lambda: stack.enter_context(run.held()))
        yield


def _train(prepared: Preparation, run: RunFolder, processes: Processes, console: Console) -> Path:
    """`train_generator` in a run folder that is held."""
    trainer = prepared.trainer
    if not processes.same(trainer.iteration):
        raise UserError(
            f"{run.path}: the processes see different training states; use a run folder that they share."
        )
    finished = trainer.images_seen >= trainer.config.training.kimg * 1000
    if finished and processes.on_main(lambda: has_film(run.path)):
        return list_snapshots(run.path)[-1]
    watch: Watch | None = None

    def begin() -> None:
        nonlocal watch
        with working("Preparing the metrics", to=console, transient=True):
            watch = _watch(prepared, run, console)

    processes.on_main(begin)
    loop = TrainingLoop(trainer, run, prepared.metadata, watch)
    with watch or nullcontext():
        if watch is not None and prepared.resumed:
            watch.catch_up(finished)
        if not finished:
            loop.train()
        if watch is not None and not finished and not loop.interrupted:
            watch.end()
    if loop.interrupted:
        raise KeyboardInterrupt(f"Stopped at {trainer.images_seen / 1000:.1f} kimg. {run.how_to_resume}")
    return Path(processes.on_main(lambda: str(list_snapshots(run.path)[-1])))


def _watch(prepared: Preparation, run: RunFolder, console: Console) -> Watch:
    """Write the config and the sheet of real images into the run folder; open trackers and metrics."""
    trainer, config = prepared.trainer, prepared.trainer.config
    earlier = list_snapshots(run.path)
    if earlier and not prepared.resumed:
        raise UserError(
            f"{run.path}: holds snapshots of a training but no state to resume from. Choose another run "
            f"folder, and --start-from {earlier[-1]} to build on them."
        )
    kimg = trainer.images_seen / 1000
    network = feature_network(config.logging.metric_network, trainer.device)
    trackers = open_trackers(config.logging.track, run.path, kimg)
    run.forget_after("kimg", kimg)
    if prepared.resumed:
        forget_unfinished_measurement(run)
    described = prepared.metadata.as_json()
    facts = {name: described[name] for name in ("cohort_digest", "trained_on_folds", "started_from")}
    run.write_config(config, **facts)
    write_reals(run.path / "reals.png", prepared.images, prepared.part)
    return Watch(prepared, run, network, trackers, console)
