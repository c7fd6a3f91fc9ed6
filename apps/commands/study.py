"""`morphoscope study plan | run | cell | report`: does augmentation help, for whom, and how sure is that?"""

import os
from pathlib import Path
from typing import Annotated

import typer

from morphoscope.apps.commands.options import Device, Overwrite, Run, Set, open_run, option
from morphoscope.configs import list_presets, load_config
from morphoscope.configs.study import Study
from morphoscope.runtime.terminal import say

app = typer.Typer(help="Compare ways of augmentation, with intervals.", no_args_is_help=True)

StudyFile = Annotated[Path | None, typer.Argument(metavar="[STUDY.yaml]", help="File with settings.")]
Preset = Annotated[str | None, typer.Option(help=f"{', '.join(list_presets('study'))}.")]
CohortOption = Annotated[Path | None, option(Study, "cohort", "--cohort")]
StoreFolder = Annotated[
    Path, typer.Option(help="Where finished cells are kept; studies with equal cells share them.")
]
STORE = Path("runs/study-cells")


@app.command()
def plan(
    file: StudyFile = None,
    preset: Preset = None,
    cohort: CohortOption = None,
    store: StoreFolder = STORE,
    pilot: Annotated[
        Path | None, typer.Option(help="Folder of a finished study, whose variances replace assumptions.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Say what a study would do, how long it takes, and which difference it could find."""
    settings = load_config(Study, family="study", preset=preset, file=file, cohort=cohort)

    from morphoscope.apps.study.planning import print_plan

    print_plan(settings, store, pilot, device)


@app.command()
def run(
    file: StudyFile = None,
    preset: Preset = None,
    cohort: CohortOption = None,
    run: Run = None,
    overwrite: Overwrite = False,
    store: StoreFolder = STORE,
    cores: Annotated[int, typer.Option(min=1, help="Cores of this machine to use at once.")] = os.cpu_count()
    or 1,
    threads: Annotated[int, typer.Option(min=1, help="Cores per cell.")] = 1,
    profile: Annotated[
        str | None, typer.Option(help="Snakemake profile: slurm, or a folder; this machine if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run.")] = False,
    set_: Set = None,
    device: Device = "auto",
) -> None:
    """Run a study and write its report. Re-run the command with the same --run to resume."""
    settings = load_config(Study, family="study", preset=preset, file=file, overrides=set_, cohort=cohort)

    from morphoscope.apps.study.cell import Store
    from morphoscope.apps.study.study import run_study
    from morphoscope.apps.study.workflow.engine import Engine
    from morphoscope.cohort import Cohort, CohortInput

    whole = Cohort.load(settings.cohort)
    engine = Engine(cores, threads, device, profile, dry_run)
    with open_run(run, "study", settings, overwrite=overwrite, cohort=CohortInput(whole)) as folder:
        report = run_study(settings, whole, folder, Store(store), engine)
    if report is not None:
        say(f"Report: {report}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a study, also while it runs.")],
    store: StoreFolder = STORE,
) -> None:
    """Write the report of a study again, from the cells that are finished."""
    from morphoscope.apps.study.cell import Store
    from morphoscope.apps.study.study import report_study

    say(f"Report: {report_study(run, Store(store))}")


@app.command()
def cell(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a study.")],
    name: Annotated[str, typer.Argument(metavar="CELL", help="Name of a cell, as in plan.json.")],
    store: StoreFolder = STORE,
    device: Device = "auto",
) -> None:
    """Run one cell of a study by hand; an interrupted one resumes."""
    from morphoscope.apps.study.running import run_one

    done = run_one(run, name, store, device)
    say(f"Finished {name}" if done else f"{name} is finished already")
