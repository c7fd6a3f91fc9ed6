"""`morphoscope classify survey …`: compare the classifier with clinicians on the same pictures."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from morphoscope.apps.commands.options import CohortPath, ConfigFile, Device, Run, Seed, Set, open_run
from morphoscope.configs import load_config
from morphoscope.configs.survey import SurveyAnalysis, SurveyBuilding

app = typer.Typer(help="Surveys of clinicians, and the classifier against them.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DEST", help="Folder that `survey build` made.")]


@app.command()
def build(
    path: CohortPath,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="New folder for forms and key.")],
    surveys: Annotated[int | None, typer.Option(help="Number of forms.")] = None,
    per_condition: Annotated[
        int | None, typer.Option(help="Pictures of each condition in each view, in every survey.")
    ] = None,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Seed = None,
) -> None:
    """Make survey forms (HTML, offline) of test images that no model was trained on, and their key."""
    from morphoscope.classify.survey.building import FORMS, KEY, build_surveys
    from morphoscope.cohort import Cohort

    settings = load_config(
        SurveyBuilding,
        file=config,
        overrides=set_,
        surveys=surveys,
        per_condition=per_condition,
        seed=seed,
    )
    built = build_surveys(Cohort.load(path), destination, settings)
    questions, shown = len(built.key) // settings.surveys, built.shown
    often = f"{shown.min()}" if shown.min() == shown.max() else f"{shown.min()} to {shown.max()}"
    Console(soft_wrap=True).print(
        f"{settings.surveys} surveys of {questions} pictures each ({len(built.conditions)} conditions); "
        f"{len(shown)} images, each shown {often} times.\n"
        f"Hand out {destination / FORMS}; keep {destination / KEY} to yourself.",
        highlight=False,
    )


@app.command()
def power(
    difference: Annotated[float, typer.Option(help="True difference of accuracies that should be found.")],
    deviation: Annotated[
        float, typer.Option(help="Standard deviation of the surveys' differences, e.g. of a pilot's.")
    ],
    surveys: Annotated[int | None, typer.Option(help="Tell the power of this many surveys.")] = None,
) -> None:
    """Say how many surveys a paired t-test (two-sided, p < 0.05) needs to find a difference."""
    from morphoscope.classify.survey.power import paired_power, surveys_needed

    for wished in (0.8, 0.9):
        enough = surveys_needed(difference, deviation, wished)
        Console().print(f"{enough} surveys for a power of {wished:.0%}", highlight=False)
    if surveys is not None:
        found = paired_power(difference, deviation, surveys)
        Console().print(f"{surveys} surveys have a power of {found:.1%}", highlight=False)


@app.command()
def analyse(
    folder: Folder,
    answers: Annotated[Path, typer.Argument(metavar="ANSWERS", help="Folder of the CSV files handed in.")],
    ensemble: Annotated[
        list[Path],
        typer.Option(help="The ensemble's .safetensors file; again for the one of the other view."),
    ],
    cohort: Annotated[Path, typer.Option(help="The cohort that the surveys were built from.")],
    rows: Annotated[
        str | None,
        typer.Option(help="all: a cohort of patients that no model has seen, instead of the training's."),
    ] = None,
    run: Run = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Seed = None,
) -> None:
    """Compare participants with an ensemble that has not seen the pictures: report.html and its tables."""
    from morphoscope.classify import Ensemble, evaluate
    from morphoscope.classify.survey.analysis import analyse as compare_all
    from morphoscope.classify.survey.answers import read_answers
    from morphoscope.classify.survey.building import Surveys
    from morphoscope.classify.survey.report import points, write_analysis
    from morphoscope.cohort import Cohort

    settings = load_config(SurveyAnalysis, file=config, overrides=set_, seed=seed, rows=rows)
    surveys = Surveys.load(folder)
    read = read_answers(answers, surveys)  # before the classifier takes its time
    pictures = Cohort.load(cohort)
    models = [Ensemble.load(path, device) for path in ensemble]
    evaluations = [evaluate(model, pictures, settings.rows, view=model.view) for model in models]
    analysis = compare_all(surveys, read, evaluations, settings)
    opened = open_run(
        run, "survey", settings, surveys=folder, answers=answers, ensembles=ensemble, cohort=cohort
    )
    report = write_analysis(analysis, opened.path, [evaluation.facts for evaluation in evaluations])
    console = Console(soft_wrap=True)
    for name, number in analysis.counts().items():
        console.print(f"{name}: {number}", highlight=False)
    for sentence in read.left_out:
        console.print(f"Left out: {sentence}", highlight=False, markup=False)
    for sentence in read.warnings:
        console.print(f"Warning: {sentence}", highlight=False, markup=False)
    for found in analysis.comparisons:
        console.print(
            f"{found.view}, {found.specialty}: classifier {found.classifier.value:.3f}, clinicians "
            f"{found.clinicians.value:.3f}, difference {points(found.difference)} points "
            f"({found.participants} participants, {found.answers} answers)",
            highlight=False,
            markup=False,
        )
    console.print(f"Wrote {report}", highlight=False)
