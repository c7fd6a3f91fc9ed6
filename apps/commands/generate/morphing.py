"""`morphoscope generate morph`."""

from typing import Annotated

import typer

from morphoscope.apps.commands.options import (
    ConfigFile,
    Device,
    GeneratorPath,
    Overwrite,
    Run,
    Set,
    open_run,
    option,
)
from morphoscope.configs import load_config
from morphoscope.configs.commands import Morphing
from morphoscope.runtime.terminal import say


def morph(
    generator: GeneratorPath,
    start: Annotated[str, typer.Argument(metavar="FROM", help="Condition at the left end.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Condition at the right end.")],
    steps: Annotated[int | None, option(Morphing, "steps")] = None,
    psi: Annotated[float | None, option(Morphing, "psi")] = None,
    printed_mark: Annotated[bool | None, option(Morphing, "printed_mark")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Morphing, "seed")] = None,
) -> None:
    """Morph one condition into another with one seed: a strip and its frames, marked as synthetic."""
    settings = load_config(
        Morphing, file=config, overrides=set_, steps=steps, psi=psi, printed_mark=printed_mark, seed=seed
    )

    from morphoscope.generate import load
    from morphoscope.generate.exports import write_morph

    model = load(generator, device)
    model.label(start), model.label(end)  # a misspelt condition must not leave a run folder behind
    name = f"morph-{model.file_stem(start)}-{model.file_stem(end)}"
    inputs = {"start": start, "end": end, "generator": model.digest}
    with open_run(run, name, settings, overwrite=overwrite, **inputs) as folder:
        strip = write_morph(model, folder.path, start, end, settings)
    say(f"Wrote {strip}")
