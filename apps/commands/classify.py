"""`morphoscope classify …`: train the ensemble, evaluate it, use it, look into it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from morphoscope.apps.commands import survey
from morphoscope.apps.commands.allow_gallery import allow_gallery
from morphoscope.apps.commands.compare import compare
from morphoscope.apps.commands.explain import explain
from morphoscope.apps.commands.options import (
    CohortPath,
    ConfigFile,
    Device,
    EnsemblePath,
    Overwrite,
    Run,
    Set,
    comma_list,
    open_run,
    option,
    run_folder,
)
from morphoscope.apps.commands.predict import PrevalenceOption, TestTime, predict
from morphoscope.configs import UserError, load_config
from morphoscope.configs.attribution import MapComparison
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Evaluating, Rows
from morphoscope.configs.views import PairedView
from morphoscope.runtime.progress import working
from morphoscope.runtime.terminal import say

app = typer.Typer(help="The classifier ensemble.", no_args_is_help=True)
app.add_typer(survey.app, name="survey")


@app.command()
def train(
    path: CohortPath,
    run: Run = None,
    overwrite: Overwrite = False,
    preset: Annotated[
        str,
        typer.Option(
            help="lite (128 px, two cores); for a GPU b4 (448 px), paper-focused or paper-panoramic."
        ),
    ] = "lite",
    synthetic: Annotated[list[Path] | None, typer.Option(help="Synthetic cohort to add; repeatable.")] = None,
    auxiliary: Annotated[
        list[Path] | None,
        typer.Option(help="Cohort of other lesions to train jointly with; repeatable."),
    ] = None,
    resolution: Annotated[int | None, option(EnsembleTraining, "resolution", preset=True)] = None,
    epochs: Annotated[int | None, option(EnsembleTraining, "epochs", preset=True)] = None,
    batch: Annotated[int | None, option(EnsembleTraining, "batch", preset=True)] = None,
    view: Annotated[
        PairedView | None, typer.Option(help="Train on images of this view only; by default on all images.")
    ] = None,
    folds: Annotated[str, typer.Option(help="Comma-separated folds to train; all if not given.")] = "",
    nested: Annotated[
        bool,
        typer.Option(
            "--nested",
            help="Nested cross-validation: for each fold an ensemble of the others, evaluated on it.",
        ),
    ] = False,
    held_out_conditions: Annotated[
        str,
        typer.Option(
            metavar="all|NAMES",
            help="Measure whether the alarm notices unknown conditions: for each of these comma-separated "
            "conditions (all: for every one), and for each value of the columns site and device, an ensemble "
            "is trained without it.",
        ),
    ] = "",
    repeats: Annotated[
        int,
        typer.Option(
            min=1,
            max=100,
            help="Number of splits: the cohort's own, then others, which show how far the results depend "
            "on the split.",
        ),
    ] = 1,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(EnsembleTraining, "seed")] = None,
) -> None:
    """Train one classifier per fold. Re-run the command with the same --run to resume."""
    settings = load_config(
        EnsembleTraining,
        family="classify",
        preset=preset,
        file=config,
        overrides=set_,
        resolution=resolution,
        epochs=epochs,
        batch=batch,
        seed=seed,
    )

    several = "nested" if nested else "repeated" if repeats > 1 else ""
    if several and (synthetic or folds):
        raise UserError(
            "--nested and --repeats train on every fold, and on real images: leave out --folds and "
            "--synthetic."
        )
    if held_out_conditions and (several or synthetic):
        raise UserError(
            "--held-out-conditions: not with --nested or --repeats, nor with --synthetic, whose generator "
            "has seen every condition."
        )

    from morphoscope.apps.commands.classifier_output import print_repeats
    from morphoscope.apps.commands.held_out import planned, print_held_out
    from morphoscope.classify import cross_validate, measure_held_out, train_ensemble
    from morphoscope.cohort import Cohort

    cohort = Cohort.load(path)
    extras, beside = ([Cohort.load(extra) for extra in paths or []] for paths in (synthetic, auxiliary))
    chosen, plan = comma_list(folds) or None, None
    if held_out_conditions:
        plan = planned(settings, cohort, held_out_conditions, view, chosen)
    folder = run_folder(run, "-".join(part for part in (path.stem, several, preset) if part))
    common: dict[str, Any] = {"auxiliary": beside, "view": view, "device": device, "overwrite": overwrite}
    if several:
        print_repeats(cross_validate(settings, cohort, folder, nested=nested, repeats=repeats, **common))
        say(f"Wrote {folder.path}")
        return
    ensemble = train_ensemble(settings, cohort, folder, synthetic=extras, folds=chosen, **common)
    if plan is not None:
        print_held_out(
            measure_held_out(
                settings, ensemble, plan, folder, auxiliary=beside, device=device, overwrite=overwrite
            )
        )
        say(f"Report: {folder.path / 'held-out' / 'report.html'}")
    say(f"Ensemble: {folder.path / 'ensemble.safetensors'}")


@app.command()
def evaluate(
    ensemble: EnsemblePath,
    path: CohortPath,
    rows: Annotated[Rows | None, option(Evaluating, "rows")] = None,
    unlike: Annotated[
        Path | None,
        typer.Option(help="Cohort of another kind of image, e.g. healthy skin, that the alarm should find."),
    ] = None,
    view: Annotated[PairedView | None, option(Evaluating, "view")] = None,
    test_time: TestTime = None,
    prevalence: PrevalenceOption = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
) -> None:
    """Evaluate an ensemble: metrics with 95% intervals, calibration, and the prediction for every image."""
    settings = load_config(
        Evaluating,
        file=config,
        overrides=set_,
        rows=rows,
        view=view,
        test_time=test_time,
        prevalence=prevalence,
    )

    from morphoscope.apps.commands.classifier_output import print_descriptions, print_evaluation
    from morphoscope.classify import Ensemble, write_evaluation_page
    from morphoscope.classify import evaluate as evaluate_ensemble
    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.runtime import InputFiles

    strange = None if unlike is None else Cohort.load(unlike)
    model, cohort = Ensemble.load(ensemble, device, settings.test_time), Cohort.load(path)
    inputs: dict[str, Any] = {
        "ensemble": InputFiles(ensemble),
        "cohort": CohortInput(cohort),
        "unlike": None if strange is None else CohortInput(strange),
    }
    with (
        open_run(run, "evaluate", settings, overwrite=overwrite, **inputs) as folder,
        working("Evaluating the ensemble", transient=True),
    ):
        evaluation = evaluate_ensemble(
            model, cohort, settings.rows, strange, settings.view, settings.prevalence
        )
        evaluation.write(folder.path)
        report = write_evaluation_page(evaluation, folder.path, model.descriptions)
    print_evaluation(evaluation)
    print_descriptions(model)
    if evaluation.facts.epoch_chosen_on_these_images:
        say("Each model's best epoch was chosen on these same images, so these metrics are optimistic.")
    say(f"Wrote {folder.path}")
    say(f"Report: {report}")


app.command()(compare)


@app.command()
def calibrate(
    ensemble: EnsemblePath, path: CohortPath, test_time: TestTime = None, device: Device = "auto"
) -> None:
    """Calibrate an ensemble in its file: one from an earlier version, or for another --test-time."""
    from morphoscope.classify import Ensemble
    from morphoscope.cohort import Cohort

    model = Ensemble.load(ensemble, device, test_time)
    with working("Calibrating the ensemble", transient=True):
        model.calibrate(Cohort.load(path))
    model.save(ensemble)
    say(f"Calibrated {ensemble}")


app.command()(predict)


app.command()(explain)
app.command()(allow_gallery)


@app.command()
def attribution(
    ensemble: EnsemblePath,
    path: CohortPath,
    rows: Annotated[Literal["test", "all"] | None, option(MapComparison, "rows")] = None,
    view: Annotated[PairedView | None, option(MapComparison, "view")] = None,
    methods: Annotated[str | None, option(MapComparison, "methods", note="comma-separated")] = None,
    images: Annotated[int | None, option(MapComparison, "images")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(MapComparison, "seed")] = None,
) -> None:
    """Compare attribution methods: with lesion masks, deletion and insertion, and random weights."""
    listed = None if methods is None else comma_list(methods)
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

    from morphoscope.classify import Ensemble
    from morphoscope.classify.attribution_comparison.comparison import compare_maps
    from morphoscope.classify.attribution_comparison.results import MEASURES
    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.runtime import InputFiles
    from morphoscope.runtime.statistics import format_estimate

    model, cohort = Ensemble.load(ensemble, device), Cohort.load(path)
    inputs: dict[str, Any] = {"ensemble": InputFiles(ensemble), "cohort": CohortInput(cohort)}
    with (
        open_run(run, "attribution", settings, overwrite=overwrite, **inputs) as folder,
        working("Comparing attribution methods", transient=True),
    ):
        found = compare_maps(model, cohort, settings)
        found.write(folder.path)
    for measure, title in MEASURES.items():
        say(title)
        for name, row in found.summary.items():
            say(f"  {name:28} {format_estimate(getattr(row, measure), digits=2)}")
    if found.cascade is not None:
        say(f"SSIM as layers are re-initialised from the head ({found.cascade.images} images)")
        for name in found.cascade.summary[0].methods:
            line = [stage.methods[name].ssim_random for stage in found.cascade.summary]
            values = "  ".join("–" if one is None else f"{one.value:.2f}" for one in line)
            say(f"  {name:28} {values}")
    if found.warning:
        say(f"Warning: {found.warning}")
    say(f"Wrote {folder.path}; table.md explains these values.")
