"""`morphoscope generate train | report`."""

from pathlib import Path
from typing import Annotated

import typer

from morphoscope.apps.commands.options import (
    CohortPath,
    ConfigFile,
    Device,
    Overwrite,
    Run,
    Set,
    comma_list,
    option,
    run_folder,
)
from morphoscope.configs import list_presets, load_config
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.runtime.terminal import say


def train(
    path: CohortPath,
    run: Run = None,
    overwrite: Overwrite = False,
    preset: Annotated[str, typer.Option(help=f"{', '.join(list_presets('generate'))}.")] = "auto",
    kimg: Annotated[float | None, option(GeneratorTraining, "kimg", preset=True)] = None,
    resolution: Annotated[int | None, option(GeneratorTraining, "resolution", preset=True)] = None,
    batch: Annotated[int | None, option(GeneratorTraining, "batch", preset=True)] = None,
    exclude_folds: Annotated[
        str, typer.Option(help="Comma-separated folds to leave out, besides the test fold.")
    ] = "",
    start_from: Annotated[Path | None, typer.Option(help="Snapshot to start from.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Measure a few iterations and show the plan, without a run folder."),
    ] = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(GeneratorTraining, "seed")] = None,
) -> None:
    """Train a conditional generator. Re-run the command with the same --run to resume.

    Under torchrun the processes share each batch.
    """
    settings = load_config(
        GeneratorTraining,
        family="generate",
        preset=preset,
        file=config,
        overrides=set_,
        kimg=kimg,
        resolution=resolution,
        batch=batch,
        seed=seed,
    )

    from morphoscope.cohort import Cohort
    from morphoscope.generate import plan_training, train_generator
    from morphoscope.runtime import RunFolder
    from morphoscope.runtime.torch_processes import joined

    name = f"{path.stem}-{preset}"
    folds = comma_list(exclude_folds)
    with joined(device) as processes:
        cohort = Cohort.load(path)
        if dry_run:
            plan = plan_training(
                settings,
                cohort,
                run or Path("runs") / name,
                exclude_folds=folds,
                start_from=start_from,
                processes=processes,
            )
            if processes.is_main:
                plan.print()
            return
        folder = processes.on_main(lambda: run_folder(run, name).path)
        snapshot = train_generator(
            settings,
            cohort,
            RunFolder(folder),
            exclude_folds=folds,
            start_from=start_from,
            overwrite=overwrite,
            processes=processes,
        )
        if processes.is_main:
            where = processes.device if processes.world == 1 else f"{processes.world} processes"
            say(f"Trained on {where}; newest snapshot: {snapshot}")


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a training, also while it runs.")],
) -> None:
    """Write report.html and film.mp4 of a training again, from the files in its run folder."""
    from morphoscope.generate.training.film import write_film
    from morphoscope.generate.training.report import write_training_report

    for written in (write_film(run), write_training_report(run)):
        if written is not None:  # no sheet, no film
            say(f"Wrote {written}")
