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
    resumable,
)
from morphoscope.configs import UserError, load_config
from morphoscope.configs.commands import Augmenting, Sampling
from morphoscope.configs.precision import ConvolutionPrecision
from morphoscope.configs.views import View
from morphoscope.runtime.terminal import say


def sample(
    generator: GeneratorPath,
    condition: Annotated[list[str] | None, option(Sampling, "conditions", note="repeatable")] = None,
    count: Annotated[int | None, option(Sampling, "count")] = None,
    psi: Annotated[float | None, option(Sampling, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(Sampling, "precision")] = None,
    printed_mark: Annotated[bool | None, option(Sampling, "printed_mark")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Sampling, "seed")] = None,
) -> None:
    """Make images by seed, seed0000.png …, and a sheet of them, all marked as synthetic.

    Re-run the command with the same --run to resume.
    """
    settings = load_config(
        Sampling,
        file=config,
        overrides=set_,
        conditions=condition or None,
        count=count,
        psi=psi,
        precision=precision,
        printed_mark=printed_mark,
        seed=seed,
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.generate.exports import check_samples, write_samples

    model = load_generator(generator, device, settings.precision)
    check_samples(model, settings)  # a misspelt condition must not leave a run folder behind
    with (
        open_run(run, "sample", settings, overwrite=overwrite, generator=model.digest) as folder,
        resumable(folder, "finished images"),
    ):
        sheet = write_samples(model, folder.path, settings)
    say(f"Wrote {sheet}")


def augment(
    generator: GeneratorPath,
    destination: Annotated[Path, typer.Argument(help="Folder for this synthetic cohort alone.")],
    per_condition: Annotated[int | None, option(Augmenting, "per_condition")] = None,
    view: Annotated[View | None, option(Augmenting, "view")] = None,
    psi: Annotated[float | None, option(Augmenting, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(Augmenting, "precision")] = None,
    morphs: Annotated[bool | None, option(Augmenting, "morphs", "--morphs")] = None,
    cohort: Annotated[
        Path | None, typer.Option(help="The cohort that the generator was trained on, for --drop-closer.")
    ] = None,
    drop_closer: Annotated[float | None, option(Augmenting, "drop_closer")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Augmenting, "seed")] = None,
) -> None:
    """Write a synthetic cohort with its provenance, ready for `classify train --synthetic`.

    Re-run the command with the same settings to resume.
    """
    settings = load_config(
        Augmenting,
        file=config,
        overrides=set_,
        per_condition=per_condition,
        view=view,
        psi=psi,
        precision=precision,
        morphs=morphs,
        drop_closer=drop_closer,
        seed=seed,
    )
    if (cohort is None) != (settings.drop_closer is None):
        raise UserError("--cohort and --drop-closer belong together: give both or neither.")

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.apps.commands.generate.networks import feature_network
    from morphoscope.cohort import Cohort
    from morphoscope.generate import augment as write_cohort
    from morphoscope.generate.metrics import CopyFilter
    from morphoscope.generate.synthetic import dropped_copies
    from morphoscope.runtime import RunFolder

    model = load_generator(generator, device, settings.precision)
    copies = None
    if cohort is not None and settings.drop_closer is not None:
        network = feature_network(settings.network, device)
        copies = CopyFilter(network, model, Cohort.load(cohort), settings.drop_closer)
    options = settings.model_dump(exclude={"drop_closer", "network", "precision"})
    made = write_cohort(model, destination, copies=copies, **options)
    resolved = settings.model_copy(update={"view": made.rows["view"].iloc[0]})
    dropped = {name: count for name, count in dropped_copies(made).items() if count}
    facts = {"generator": model.digest}
    if copies is not None:
        facts["dropped"] = str(sum(dropped.values()))
    RunFolder(destination).write_config(resolved, **facts)
    if copies is not None:
        named = f" ({', '.join(f'{name} {count}' for name, count in dropped.items())})" if dropped else ""
        say(f"Dropped {sum(dropped.values())} images that are too close to a training image{named}")
    say(f"Wrote {len(made)} synthetic images to {destination}")
