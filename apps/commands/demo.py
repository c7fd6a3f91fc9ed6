"""`morphoscope demo`: the whole job on the phantom cohort, in minutes, ending with a report."""

import time
from pathlib import Path
from typing import Annotated

import typer

from morphoscope.apps.commands.options import Device
from morphoscope.runtime.terminal import say


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("demo"),
    device: Device = "auto",
) -> None:
    """Run the main job on phantoms: cohort, training, morph, synthetic cohort, classifier, report."""
    from morphoscope.apps.demo import run_demo

    started = time.perf_counter()
    report = run_demo(folder, device)
    say(f"\nDone in {time.perf_counter() - started:.0f} s. Report: {report.resolve()}")
    say("Open the studio with `make app` (or `morphoscope app`).")
