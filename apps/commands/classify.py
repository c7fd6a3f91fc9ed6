"""`morphoscope classify …`: train the ensemble, judge it, use it, look into it."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from rich.console import Console

from morphoscope.apps.commands import survey
from morphoscope.apps.commands.options import (
    CohortPath,
    ConfigFile,
    Device,
    EnsemblePath,
    Run,
    Seed,
    Set,
    describe_run,
    kept_if_used,
    open_run,
)
from morphoscope.configs import load_config
from morphoscope.configs.attribution import MapComparison, Method
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Evaluating, Explaining, Rows
from morphoscope.configs.views import PairedView

app = typer.Typer(help="The classifier ensemble.", no_args_is_help=True)
app.add_typer(survey.app, name="survey")

_PANORAMIC = "Panoramic photograph, for an ensemble of pairs, whose IMAGE is the focused one"
TestTime = Annotated[
    int | None,
    typer.Option(help="Average 1 or 8 views of an image (flips x transpose); if not given, as calibrated."),
]


@app.command()
def train(
    path: CohortPath,
    run: Run = None,
    preset: Annotated[
        str,
        typer.Option(
            help="lite (128 px, two cores); for a GPU b4 (448 px), paper-focused or paper-panoramic."
        ),
    ] = "lite",
    synthetic: Annotated[
        list[Path] | None, typer.Option(help="Synthetic cohort to add; may be repeated.")
    ] = None,
    auxiliary: Annotated[
        list[Path] | None,
        typer.Option(help="Cohort of other lesions to learn along with it; may be repeated."),
    ] = None,
    view: Annotated[PairedView | None, typer.Option(help="Which images; all if not given.")] = None,
    folds: Annotated[str, typer.Option(help="Comma-separated folds to train; all if not given.")] = "",
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Seed = None,
) -> None:
    """Train one classifier a fold; the same command again goes on where an interrupted run stopped."""
    from morphoscope.classify import train_ensemble
    from morphoscope.cohort import Cohort

    settings = load_config(
        EnsembleTraining, family="classify", preset=preset, file=config, overrides=set_, seed=seed
    )
    cohort = Cohort.load(path)
    extras, beside = ([Cohort.load(extra) for extra in paths or []] for paths in (synthetic, auxiliary))
    folder = open_run(run, f"{path.stem}-{preset}")
    train_ensemble(
        settings,
        cohort,
        folder,
        synthetic=extras,
        folds=[fold for fold in folds.split(",") if fold] or None,
        device=device,
        auxiliary=beside,
        view=view,
    )
    Console().print(f"Ensemble: {folder.path / 'ensemble.safetensors'}", highlight=False)


@app.command()
def evaluate(
    ensemble: EnsemblePath,
    path: CohortPath,
    rows: Annotated[Rows | None, typer.Option(help="Which images to judge.")] = None,
    unlike: Annotated[
        Path | None,
        typer.Option(help="Cohort of pictures that the ensemble should call unlike its training."),
    ] = None,
    view: Annotated[
        PairedView | None,
        typer.Option(help="Which images; if not given, those it was trained on (or its pairs), or all."),
    ] = None,
    test_time: TestTime = None,
    run: Run = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
) -> None:
    """Judge an ensemble: figures with 95% intervals, how sure it is and how rightly, every image's answer."""
    from morphoscope.apps.commands.judgement import print_evaluation
    from morphoscope.classify import Ensemble
    from morphoscope.classify import evaluate as judge
    from morphoscope.cohort import Cohort

    settings = load_config(Evaluating, file=config, overrides=set_, rows=rows, view=view, test_time=test_time)
    strange = None if unlike is None else Cohort.load(unlike)
    model, cohort = Ensemble.load(ensemble, device, settings.test_time), Cohort.load(path)
    with kept_if_used(open_run(run, "evaluate")) as folder:  # before the work: it may not be writable
        evaluation = judge(model, cohort, settings.rows, strange, settings.view)
        describe_run(folder, settings, ensemble=ensemble, cohort=path)
        evaluation.write(folder.path)
    print_evaluation(Console(), evaluation)
    if evaluation.facts["epoch_chosen_on_these_images"]:
        Console().print(
            "Each model's best epoch was chosen on these very images, so these figures are somewhat too good."
        )
    Console().print(f"Wrote {folder.path}", highlight=False)


@app.command()
def calibrate(
    ensemble: EnsemblePath, path: CohortPath, test_time: TestTime = None, device: Device = "auto"
) -> None:
    """Calibrate an ensemble in its own file: one of an earlier version, or for other test-time views."""
    from morphoscope.classify import Ensemble
    from morphoscope.cohort import Cohort

    model = Ensemble.load(ensemble, device, test_time)
    model.calibrate(Cohort.load(path))
    model.save(ensemble)
    Console().print(f"Calibrated {ensemble}", highlight=False)


@app.command()
def predict(
    ensemble: EnsemblePath,
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE...", help="Photographs.", show_default=False)
    ] = None,
    panoramic: Annotated[
        list[Path] | None, typer.Option(help=f"{_PANORAMIC}; may be repeated, in the same order.")
    ] = None,
    test_time: TestTime = None,
    device: Device = "auto",
) -> None:
    """Print each photograph's (or pair's) probabilities, and what remains possible. Not a diagnosis."""
    from morphoscope.apps.commands.judgement import NOT_CALIBRATED, prediction_table
    from morphoscope.apps.commands.photographs import as_judged, read_photographs
    from morphoscope.classify import Ensemble

    focused, others = read_photographs(images), read_photographs(panoramic)
    model = Ensemble.load(ensemble, device, test_time)
    shown = as_judged(model, focused, others)
    prediction = model.predict([photograph.pixels for photograph in shown])
    Console().print(prediction_table([photograph.name for photograph in shown], prediction))
    if prediction.prediction_sets is None:
        Console().print(NOT_CALIBRATED)


@app.command()
def explain(
    ensemble: EnsemblePath,
    image: Annotated[
        Path | None, typer.Argument(metavar="IMAGE", help="A photograph.", show_default=False)
    ] = None,
    panoramic: Annotated[Path | None, typer.Option(help=f"{_PANORAMIC}.")] = None,
    condition: Annotated[
        str | None, typer.Option(help="Whose evidence to map; the most probable if not given.")
    ] = None,
    method: Annotated[Method | None, typer.Option(help="How; integrated_gradients if not given.")] = None,
    run: Run = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Seed = None,
) -> None:
    """Map which pixels a condition's probability rests on: overlay.png, map.npy, folds.npy (each model's).

    Integrated gradients also write deltas.npy, each model's convergence delta.
    """
    from morphoscope.apps.commands.photographs import as_judged, read_photographs
    from morphoscope.classify import Ensemble, legend, overlay
    from morphoscope.runtime import write_atomically

    settings = load_config(Explaining, file=config, overrides=set_, method=method, seed=seed)
    focused, others = ([] if path is None else read_photographs([path]) for path in (image, panoramic))
    model = Ensemble.load(ensemble, device)
    ((_, pixels),) = as_judged(model, focused, others)
    if condition is None:
        condition = model.conditions[int(model.predict([pixels]).predicted[0])]
    found = model.attribute(pixels, condition, **settings.model_dump())
    facts = {"ensemble": ensemble, "image": image, "panoramic": panoramic, "condition": condition}
    folder = open_run(run, "explain", settings, **facts)
    picture = overlay(pixels, found.map, found.signed)
    with write_atomically(folder.path / "overlay.png") as temporary:
        Image.fromarray(np.vstack([picture, legend(picture.shape[1], signed=found.signed)])).save(temporary)
    with write_atomically(folder.path / "map.npy") as temporary:
        np.save(temporary, found.map)
    with write_atomically(folder.path / "folds.npy") as temporary:
        np.save(temporary, found.per_fold)
    if found.deltas is not None:
        with write_atomically(folder.path / "deltas.npy") as temporary:
            np.save(temporary, found.deltas)
    console = Console()
    console.print(f"Evidence for {condition} by {settings.method}.", highlight=False)
    if found.agreement is not None:
        console.print(
            f"Mean rank correlation between the folds' maps {found.agreement:.2f}.", highlight=False
        )
    if found.difference is not None:
        console.print(
            f"The map sums to {found.difference:+.3f} of probability (baseline {settings.baseline}); "
            f"convergence delta up to {found.convergence_delta:+.4f}.",
            highlight=False,
        )
    if found.warning:
        console.print(f"Warning: {found.warning} (--set steps={2 * settings.steps})", highlight=False)
    console.print(f"Wrote {folder.path}", highlight=False)


@app.command()
def attribution(
    ensemble: EnsemblePath,
    path: CohortPath,
    rows: Annotated[str | None, typer.Option(help="test or all.")] = None,
    view: Annotated[
        PairedView | None, typer.Option(help="Which images; those it was trained on, or all, if not given.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Comma-separated: METHOD or METHOD:BASELINE; see config.yaml.")
    ] = None,
    images: Annotated[int | None, typer.Option(help="How many, evenly over the conditions.")] = None,
    run: Run = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Seed = None,
) -> None:
    """Compare attribution methods: with lesion masks, deletion and insertion, and random weights."""
    from morphoscope.classify import Ensemble
    from morphoscope.classify.attribution_comparison.comparison import compare_maps
    from morphoscope.classify.attribution_comparison.results import MEASURES
    from morphoscope.cohort import Cohort
    from morphoscope.runtime.statistics import format_estimate

    listed = None if methods is None else methods.split(",")
    settings = load_config(
        MapComparison,
        file=config,
        overrides=set_,
        rows=rows,
        view=view,
        methods=listed,
        images=images,
        seed=seed,
    )
    model, cohort = Ensemble.load(ensemble, device), Cohort.load(path)
    with kept_if_used(open_run(run, "attribution")) as folder:  # before the work: it may not be writable
        found = compare_maps(model, cohort, settings)
        describe_run(folder, settings, ensemble=ensemble, cohort=path)
        found.write(folder.path)
    console = Console()
    for measure, title in MEASURES.items():
        console.print(f"[bold]{title}[/bold]", highlight=False)
        for name, row in found.summary.items():
            console.print(f"  {name:28} {format_estimate(getattr(row, measure), digits=2)}", highlight=False)
    if found.cascade is not None:
        console.print(
            f"[bold]SSIM as layers are re-initialised from the head[/bold] ({found.cascade.images} images)",
            highlight=False,
        )
        for name in found.cascade.summary[0].methods:
            line = [stage.methods[name].ssim_random for stage in found.cascade.summary]
            values = "  ".join("–" if one is None else f"{one.value:.2f}" for one in line)
            console.print(f"  {name:28} {values}", highlight=False)
    if found.warning:
        console.print(f"Warning: {found.warning}", highlight=False)
    console.print(f"Wrote {folder.path}; table.md says what these mean.", highlight=False)
