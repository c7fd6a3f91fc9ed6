"""`morphoscope generate sample | augment`."""

from pathlib import Path
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
from morphoscope.configs.commands import Augmenting, Sampling
from morphoscope.configs.views import View
from morphoscope.runtime.terminal import say


def sample(
    generator: GeneratorPath,
    condition: Annotated[list[str] | None, option(Sampling, "conditions", note="repeatable")] = None,
    count: Annotated[int | None, option(Sampling, "count")] = None,
    psi: Annotated[float | None, option(Sampling, "psi")] = None,
    printed_mark: Annotated[bool | None, option(Sampling, "printed_mark")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Sampling, "seed")] = None,
) -> None:
    """Make images by seed, seed0000.png …, and a sheet of them, all marked as synthetic."""
    settings = load_config(
        Sampling,
        file=config,
        overrides=set_,
        conditions=condition or None,
        count=count,
        psi=psi,
        printed_mark=printed_mark,
        seed=seed,
    )

    from morphoscope.generate import load
    from morphoscope.generate.exports import check_samples, write_samples

    model = load(generator, device)
    check_samples(model, settings)  # a misspelt condition must not leave a run folder behind
    with open_run(run, "sample", settings, overwrite=overwrite, generator=model.digest) as folder:
        sheet = write_samples(model, folder.path, settings)
    say(f"Wrote {sheet}")


def augment(
    generator: GeneratorPath,
    destination: Annotated[Path, typer.Argument(help="New folder for the synthetic cohort.")],
    per_condition: Annotated[int | None, option(Augmenting, "per_condition")] = None,
    view: Annotated[View | None, option(Augmenting, "view")] = None,
    psi: Annotated[float | None, option(Augmenting, "psi")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Augmenting, "seed")] = None,
) -> None:
    """Write a synthetic cohort with its provenance, ready for `classify train --synthetic`."""
    settings = load_config(
        Augmenting, file=config, overrides=set_, per_condition=per_condition, view=view, psi=psi, seed=seed
    )

    from morphoscope.generate import augment as write_cohort
    from morphoscope.generate import load
    from morphoscope.runtime import RunFolder

    model = load(generator, device)
    cohort = write_cohort(model, destination, **settings.model_dump())
    resolved = settings.model_copy(update={"view": cohort.rows["view"].iloc[0]})
    RunFolder(destination).write_config(resolved, generator=model.digest)
    say(f"Wrote {len(cohort)} synthetic images to {destination}")
