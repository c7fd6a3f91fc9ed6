"""`morphoscope generate …`: train a generator and use it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from morphoscope.apps.commands.options import (
    CohortPath,
    ConfigFile,
    Device,
    GeneratorPath,
    Run,
    Seed,
    Set,
    open_run,
)
from morphoscope.configs import load_config
from morphoscope.configs.commands import Augmenting, Compared, Measuring, Morphing, Sampling
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.views import View

if TYPE_CHECKING:
    from morphoscope.generate.metrics import QualityReport

app = typer.Typer(help="The StyleGAN2-ADA generator.", no_args_is_help=True)


@app.command()
def train(
    path: CohortPath,
    run: Run = None,
    preset: Annotated[str, typer.Option(help="auto, cpu64, paper256 …; see configs/presets.")] = "auto",
    kimg: Annotated[float | None, typer.Option(help="Thousands of images to show.")] = None,
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
    seed: Seed = None,
) -> None:
    """Train a conditional generator; the same command again goes on where an interrupted run stopped.

    Under torchrun the processes share each batch.
    """
    from morphoscope.cohort import Cohort
    from morphoscope.generate import plan_training, train_generator
    from morphoscope.runtime import RunFolder
    from morphoscope.runtime.torch_processes import joined

    settings = load_config(
        GeneratorTraining,
        family="generate",
        preset=preset,
        file=config,
        overrides=set_,
        kimg=kimg,
        seed=seed,
    )
    name = f"{path.stem}-{preset}"
    folds = [fold.strip() for fold in exclude_folds.split(",") if fold.strip()]
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
                plan.print(Console())
            return
        folder = processes.on_main(lambda: open_run(run, name).path)
        snapshot = train_generator(
            settings,
            cohort,
            RunFolder(folder),
            exclude_folds=folds,
            start_from=start_from,
            processes=processes,
        )
        if processes.is_main:
            where = processes.device if processes.world == 1 else f"{processes.world} processes"
            Console().print(f"Trained on {where}; newest snapshot: {snapshot}", highlight=False)


@app.command()
def sample(
    generator: GeneratorPath,
    condition: Annotated[
        list[str] | None, typer.Option(help="A condition; may be repeated. All if not given.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Images of each condition.")] = None,
    run: Run = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Seed = None,
) -> None:
    """Make images by seed, seed0000.png …, and a sheet of them, all marked as synthetic."""
    from morphoscope.generate import load
    from morphoscope.generate.exports import check_samples, write_samples

    settings = load_config(
        Sampling, file=config, overrides=set_, conditions=condition or None, count=count, seed=seed
    )
    model = load(generator, device)
    check_samples(model, settings)  # a misspelt condition must not leave a run folder behind
    folder = open_run(run, "sample", settings, generator=model.digest)
    sheet = write_samples(model, folder.path, settings)
    Console().print(f"Wrote {sheet}", highlight=False)


@app.command()
def morph(
    generator: GeneratorPath,
    start: Annotated[str, typer.Argument(metavar="FROM", help="Condition at the left end.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Condition at the right end.")],
    steps: Annotated[int | None, typer.Option(help="Number of frames.")] = None,
    run: Run = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Seed = None,
) -> None:
    """Morph one condition into another with one seed: a strip and its frames, marked as synthetic."""
    from morphoscope.generate import load
    from morphoscope.generate.exports import write_morph

    settings = load_config(Morphing, file=config, overrides=set_, steps=steps, seed=seed)
    model = load(generator, device)
    model.label(start), model.label(end)  # a misspelt condition must not leave a run folder behind
    name = f"morph-{model.file_stem(start)}-{model.file_stem(end)}"
    folder = open_run(run, name, settings, generator=model.digest)
    strip = write_morph(model, folder.path, start, end, settings)
    Console().print(f"Wrote {strip}", highlight=False)


@app.command()
def augment(
    generator: GeneratorPath,
    destination: Annotated[Path, typer.Argument(help="New folder for the synthetic cohort.")],
    per_condition: Annotated[int | None, typer.Option(help="Images of each condition.")] = None,
    view: Annotated[
        View | None,
        typer.Option(help="What they show; if not given, the one view that was learnt from, or other."),
    ] = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Seed = None,
) -> None:
    """Write a synthetic cohort with its provenance, ready for `classify train --synthetic`."""
    from morphoscope.generate import augment as write_cohort
    from morphoscope.generate import load
    from morphoscope.runtime import RunFolder

    settings = load_config(
        Augmenting, file=config, overrides=set_, per_condition=per_condition, view=view, seed=seed
    )
    model = load(generator, device)
    cohort = write_cohort(model, destination, **settings.model_dump())
    resolved = settings.model_copy(update={"view": cohort.rows["view"].iloc[0]})
    RunFolder(destination).write_config(resolved, generator=model.digest)
    Console().print(f"Wrote {len(cohort)} synthetic images to {destination}", highlight=False)


@app.command()
def metrics(
    generator: GeneratorPath,
    path: CohortPath,
    rows: Annotated[
        Compared | None, typer.Option(help="Real images to compare with: unseen, trained on, or every one.")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Generated images of each condition.")] = None,
    network: Annotated[
        str | None, typer.Option(help="efficientnet_lite0, or a file of the FID's Inception weights.")
    ] = None,
    run: Run = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Seed = None,
) -> None:
    """Compare generated images with real ones: kernel and Fréchet distance, diversity, by condition."""
    from morphoscope.cohort import Cohort
    from morphoscope.generate import load
    from morphoscope.generate.metrics import QualityMeter, load_feature_network, real_rows
    from morphoscope.runtime import write_text

    settings = load_config(
        Measuring, file=config, overrides=set_, rows=rows, images=images, network=network, seed=seed
    )
    model = load(generator, device)
    cohort = Cohort.load(path)
    reals = real_rows(cohort, settings.rows, model.metadata)
    occurring = sorted(set(reals.rows["condition"]))
    for condition in occurring:
        model.label(condition)  # a condition that the generator lacks is said before the work, not in it
    features = load_feature_network(settings.network, device)
    meter = QualityMeter(features, reals, model.resolution, model.metadata.fit)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("generated images", total=settings.images * len(occurring))

        def sample(condition: str, seeds: Sequence[int]) -> np.ndarray:
            progress.advance(task, len(seeds))
            return model.sample(condition, seeds, settings.psi)

        report = meter.measure(sample, settings.images, settings.seed)
    folder = open_run(run, "metrics", settings, generator=model.digest, cohort=cohort.digest)
    found = {
        "generator": model.digest,
        "cohort": cohort.digest,
        "rows": settings.rows,
        "figures": report.figures(),
        "report": report.as_json(),
    }
    write_text(folder.path / "metrics.json", json.dumps(found, indent=2) + "\n")
    _print(report)
    Console().print(f"Wrote {folder.path / 'metrics.json'}", highlight=False)


def _print(report: "QualityReport") -> None:
    table = Table("", "generated", "real", "kernel distance", "Fréchet", "diversity")
    for name, quality in [("all", report.overall), *report.by_condition.items()]:
        table.add_row(
            name,
            str(quality.generated),
            str(quality.real),
            f"{quality.kernel:.4f} ± {quality.kernel_deviation:.4f}",
            f"{quality.frechet:.2f}",
            f"{quality.relative_diversity:.2f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"Features of {report.network}; figures of different networks, resolutions or numbers of images are "
        "not comparable.",
        highlight=False,
    )


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a training, also one at work.")],
) -> None:
    """Write report.html and film.mp4 of a training anew, from the files in its run folder."""
    from morphoscope.generate.training.film import write_film
    from morphoscope.generate.training.report import write_training_report

    for written in (write_film(run), write_training_report(run)):
        if written is not None:  # no sheet, no film
            Console().print(f"Wrote {written}", highlight=False)
