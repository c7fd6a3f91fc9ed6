"""Options that every command takes, and the run folder that it writes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from morphoscope.configs.schema import Config
from morphoscope.runtime import RunFolder

ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; repeatable.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")]
Run = Annotated[
    Path | None,
    typer.Option("--run", help="Run folder; a new numbered one under runs/ if not given."),
]
CohortPath = Annotated[Path, typer.Argument(metavar="COHORT", help="Folder or zip with a manifest.csv.")]
GeneratorPath = Annotated[Path, typer.Argument(metavar="GENERATOR", help="A generator's .safetensors file.")]
EnsemblePath = Annotated[Path, typer.Argument(metavar="ENSEMBLE", help="An ensemble's .safetensors file.")]


def comma_list(text: str) -> list[str]:
    """The items of a comma-separated list, without blanks around them or empty ones."""
    return [item.strip() for item in text.split(",") if item.strip()]


@contextmanager
def kept_if_used(folder: RunFolder) -> Iterator[RunFolder]:
    """A run folder that is removed if nothing was written into it, however the work ended."""
    try:
        yield folder
    finally:
        folder.remove_if_empty()


def open_run(run: Path | None, name: str, config: Config | None = None, **facts: Any) -> RunFolder:
    """The run folder that a command writes into, with its resolved config and the command line."""
    folder = RunFolder.numbered(Path("runs"), name) if run is None else RunFolder(run)
    if config is not None:
        describe_run(folder, config, **facts)
    return folder


def describe_run(folder: RunFolder, config: Config, **facts: Any) -> None:
    """Write a run's resolved config and the command line."""
    folder.write_config(config, command=" ".join(sys.argv[1:]), **facts)
