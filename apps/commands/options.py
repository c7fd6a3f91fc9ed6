"""Options that every command takes, and the run folder that it writes."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.models import OptionInfo

from morphoscope.configs.help import help_text
from morphoscope.configs.schema import Config, fields_of
from morphoscope.runtime import Request, RunFolder
from morphoscope.runtime.command_line import recorded_command

ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting, repeatable; `morphoscope settings` lists those of each command.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Run = Annotated[
    Path | None,
    typer.Option("--run", help="Run folder; a new numbered one under runs/ if not given."),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="If --run holds a run with other settings or inputs, delete the files that it wrote. Without "
        "this, such a folder is refused.",
    ),
]
CohortPath = Annotated[Path, typer.Argument(metavar="COHORT", help="Folder or zip with a manifest.csv.")]
GeneratorPath = Annotated[Path, typer.Argument(metavar="GENERATOR", help="A generator's .safetensors file.")]
EnsemblePath = Annotated[Path, typer.Argument(metavar="ENSEMBLE", help="An ensemble's .safetensors file.")]


def option(schema: type[Config], field: str, *flags: str, preset: bool = False, note: str = "") -> OptionInfo:
    """An option of its own for a setting: its help is the field's description, range and default.

    The parameter is `T | None` and None by default, so that an option that is not given leaves the value to
    `--config`, `--set` and the schema: `count: Annotated[int | None, option(Sampling, "count")] = None`.

    Args:
        flags: e.g. "--condition"; by default typer derives the flag from the parameter's name.
        preset: whether the command has presets, which set other defaults.
        note: a fact about the option itself, e.g. "repeatable".
    """
    text = help_text(fields_of(schema)[field], preset=preset, note=note)
    found: OptionInfo = typer.Option(*flags, help=escape(text), show_default=False)
    return found


def comma_list(text: str) -> list[str]:
    """The items of a comma-separated list, without blanks around them or empty ones."""
    return [item.strip() for item in text.split(",") if item.strip()]


def run_folder(run: Path | None, name: str) -> RunFolder:
    """The folder of `--run`, or a new numbered one with `name`."""
    return RunFolder.numbered(Path("runs"), name) if run is None else RunFolder(run)


@contextmanager
def resumable(folder: RunFolder, kept: str) -> Iterator[None]:
    """Within this, an interruption says that `kept` (in the plural) are kept, and how to resume."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"Stopped; {kept} are kept. {folder.how_to_resume}") from stop


@contextmanager
def open_run(
    run: Path | None,
    name: str,
    settings: Config,
    *,
    overwrite: bool,
    private: Mapping[str, str] | None = None,
    **inputs: Any,
) -> Iterator[RunFolder]:
    """The run folder that a command writes into, with its config; locked, and for this run alone.

    Args:
        private: words of the command line that may name a patient, and what config.yaml shows in their place.
        inputs: by name, as `Request` takes them; config.yaml shows them as text.

    Raises:
        UserError: as `RunFolder.held` and `RunFolder.claim`.
    """
    folder = run_folder(run, name)
    with folder.held():
        folder.claim(Request(settings, inputs), overwrite=overwrite)
        folder.write_config(settings, command=recorded_command(sys.argv[1:], private), **inputs)
        yield folder
