"""The command line: `morphoscope doctor | demo | app | cohort … | generate … | classify …`."""

import logging
import os
import sys

# Before any library reads them: the program phones nobody.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import typer
from rich.console import Console

from morphoscope.apps.commands import classify, cohort, demo, doctor, generate, studio
from morphoscope.configs import UserError

app = typer.Typer(
    help="See what a condition looks like, how it turns into another, and what a classifier makes of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cohort.app, name="cohort")
app.add_typer(generate.app, name="generate")
app.add_typer(classify.app, name="classify")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("app")(studio.studio)


# Of several processes that compute together (torchrun), the first speaks for all.
_SPEAKS = os.environ.get("RANK", "0") == "0"


class _Messages(logging.Handler):
    """The program's own messages, on what sys.stderr is just then: a progress bar keeps them above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        if _SPEAKS:
            print(f"morphoscope: {record.getMessage()}", file=sys.stderr)


def main() -> None:
    """Entry point: what a user can mend is one line on stderr and exit code 2."""
    log = logging.getLogger("morphoscope")
    log.setLevel(logging.INFO)
    log.handlers = [_Messages()]
    try:
        app()
    except UserError as error:
        if _SPEAKS:
            Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(f"morphoscope: {error}")
        sys.exit(2)
