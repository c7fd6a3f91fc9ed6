"""`morphoscope generate …`: train a generator and use it."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.apps.commands.options import (
    CohortPath,
    ConfigFile,
    Device,
    GeneratorPath,
    Overwrite,
    Run,
    Set,
    comma_list,
    open_run,
    option,
    run_folder,
)
from morphoscope.configs import list_presets, load_config
from morphoscope.configs.commands import Augmenting, Compared, Measuring, Morphing, Sampling
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.views import View
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from morphoscope.generate.metrics import QualityReport

app = typer.Typer(help="The StyleGAN2-ADA generator.", no_args_is_help=True)


@app.command()
def train(
    path: CohortPath,
    run: Run = None,
    overwrite: Overwrite = False,
    preset: Annotated[str, typer.Option(help=f"{', '.join(list_presets('generate'))}.")] = "auto",
    kimg: Annotated[float | None, option(GeneratorTraining, "kimg", preset=True)] = None,
    resolution: Annotated[int | None, option(GeneratorTraining, "resolution", preset=True)] = None,
    batch: Annotated[int | None, option(GeneratorTraining, "batch", preset=True)] = None,
    exclude_folds: Annotated[
        str, typer.Option(help="Comma-separated folds to leave out, besides the test fold.")
    ] = "",
    start_from: Annotated[Path | None, typer.Option(help="Snapshot to start from.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Measure a few iterations and show the plan, without a run folder."),
    ] = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(GeneratorTraining, "seed")] = None,
) -> None:
    """Train a conditional generator. Re-run the command with the same --run to resume.

    Under torchrun the processes share each batch.
    """
    settings = load_config(
        GeneratorTraining,
        family="generate",
        preset=preset,
        file=config,
        overrides=set_,
        kimg=kimg,
        resolution=resolution,
        batch=batch,
        seed=seed,
    )

    from morphoscope.cohort import Cohort
    from morphoscope.generate import plan_training, train_generator
    from morphoscope.runtime import RunFolder
    from morphoscope.runtime.torch_processes import joined

    name = f"{path.stem}-{preset}"
    folds = comma_list(exclude_folds)
    with joined(device) as processes:
        cohort = Cohort.load(path)
        if dry_run:
            plan = plan_training(
                settings,
                cohort,
                run or Path("runs") / name,
                exclude_folds=folds,
                start_from=start_from,
                processes=processes,
            )
            if processes.is_main:
                plan.print()
            return
        folder = processes.on_main(lambda: run_folder(run, name).path)
        snapshot = train_generator(
            settings,
            cohort,
            RunFolder(folder),
            exclude_folds=folds,
            start_from=start_from,
            overwrite=overwrite,
            processes=processes,
        )
        if processes.is_main:
            where = processes.device if processes.world == 1 else f"{processes.world} processes"
            say(f"Trained on {where}; newest snapshot: {snapshot}")


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def metrics(
    generator: GeneratorPath,
    path: CohortPath,
    rows: Annotated[Compared | None, option(Measuring, "rows")] = None,
    images: Annotated[int | None, option(Measuring, "images")] = None,
    network: Annotated[str | None, option(Measuring, "network")] = None,
    psi: Annotated[float | None, option(Measuring, "psi")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Measuring, "seed")] = None,
) -> None:
    """Compare generated images with real ones: kernel and Fréchet distance, diversity, by condition."""
    settings = load_config(
        Measuring, file=config, overrides=set_, rows=rows, images=images, network=network, psi=psi, seed=seed
    )

    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.generate import load
    from morphoscope.generate.metrics import QualityMeter, load_feature_network, real_rows
    from morphoscope.runtime import write_text

    model = load(generator, device)
    cohort = Cohort.load(path)
    reals = real_rows(cohort, settings.rows, model.metadata)
    occurring = sorted(set(reals.rows["condition"]))
    for condition in occurring:
        model.label(condition)  # report a condition that the generator lacks before the work starts
    features = load_feature_network(settings.network, device)
    meter = QualityMeter(features, reals, model.resolution, model.metadata.fit)
    inputs = {"generator": model.digest, "cohort": CohortInput(cohort)}
    with open_run(run, "metrics", settings, overwrite=overwrite, **inputs) as folder:
        report = meter.measure(partial(model.sample, psi=settings.psi), settings.images, settings.seed)
        found = {
            "generator": model.digest,
            "cohort": cohort.digest,
            "rows": settings.rows,
            "figures": report.named_values(),
            "report": report.as_json(),
        }
        write_text(folder.path / "metrics.json", json.dumps(found, indent=2) + "\n")
    _print(report)
    say(f"Wrote {folder.path / 'metrics.json'}")


def _print(report: "QualityReport") -> None:
    rows = [
        (
            name,
            str(quality.generated),
            str(quality.real),
            f"{quality.kernel:.4f} ± {quality.kernel_deviation:.4f}",
            f"{quality.frechet:.2f}",
            f"{quality.relative_diversity:.2f}",
        )
        for name, quality in [("all", report.overall), *report.by_condition.items()]
    ]
    show(table(["", "generated", "real", "kernel distance", "Fréchet", "diversity"], rows))
    say(
        f"Features of {report.network}. Values from different networks, resolutions or numbers of images are "
        "not comparable."
    )


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a training, also while it runs.")],
) -> None:
    """Write report.html and film.mp4 of a training again, from the files in its run folder."""
    from morphoscope.generate.training.film import write_film
    from morphoscope.generate.training.report import write_training_report

    for written in (write_film(run), write_training_report(run)):
        if written is not None:  # no sheet, no film
            say(f"Wrote {written}")
