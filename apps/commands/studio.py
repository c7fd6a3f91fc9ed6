"""`morphoscope app`."""

from pathlib import Path
from typing import Annotated

import typer

from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.apps.commands.options import Device


def studio(
    generator: Annotated[
        Path, typer.Option(help="Generator; the bundled phantom one by default.")
    ] = GENERATOR,
    ensemble: Annotated[Path, typer.Option(help="Ensemble; the bundled phantom one by default.")] = ENSEMBLE,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Port on 127.0.0.1.")] = 7860,
    device: Device = "auto",
) -> None:
    """Open the studio in the browser, on this machine only: morph, classify, see what the classifier sees."""
    from morphoscope.apps.studio import build, launch
    from morphoscope.classify import Ensemble
    from morphoscope.generate import load

    launch(build(load(generator, device), Ensemble.load(ensemble, device)), port=port)
