"""The command line: `morphoscope doctor | settings | demo | app | cohort … | generate … | …`.

Nothing here, and nothing that a command module imports at its top, loads torch, pandas, SciPy, Matplotlib or
Gradio: `--help` and a mistyped option answer at once. Commands import what they need when they run.
"""

import logging
import os
import signal
import sys
from typing import Annotated, Any

# Before any library reads them: the program phones nobody.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import typer
from typer.core import TyperGroup

from morphoscope.apps.commands import (
    classify,
    cohort,
    demo,
    doctor,
    generate,
    gestalt,
    settings,
    studio,
    study,
)
from morphoscope.configs import UserError
from morphoscope.runtime.terminal import say, sign_of_life

_INTERRUPTED = 130  # what shells report for a program that SIGINT ended

# When several processes compute together (torchrun), only the first one prints.
_PRINTS = os.environ.get("RANK", "0") == "0"


class _Commands(TyperGroup):
    """Commands that end with one line when they are interrupted, instead of Click's "Aborted."."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as stop:
            _message(str(stop) or "Stopped.")
            raise typer.Exit(_INTERRUPTED) from stop


app = typer.Typer(
    cls=_Commands,
    help="See what a condition looks like, how it turns into another, and what a classifier makes of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from morphoscope.runtime.version import version

        say(f"morphoscope {version()}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None: ...


app.add_typer(cohort.app, name="cohort")
app.add_typer(generate.app, name="generate")
app.add_typer(classify.app, name="classify")
app.add_typer(gestalt.app, name="gestalt")
app.add_typer(study.app, name="study")
app.command("doctor")(doctor.doctor)
app.command("settings")(settings.settings)
app.command("demo")(demo.demo)
app.command("app")(studio.studio)


class _Messages(logging.Handler):
    """The program's own log messages on stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        _message(record.getMessage())


def _message(text: str) -> None:
    if _PRINTS:
        say(f"morphoscope: {text}", stderr=True)


def main() -> None:
    """Entry point: an error that the user can fix is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    log = logging.getLogger("morphoscope")
    log.setLevel(logging.INFO)
    log.handlers = [_Messages()]
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # what `kill` and schedulers send: clean up, too
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with sign_of_life("Starting …"):
            app()
    except UserError as error:
        _message(str(error))
        sys.exit(2)
