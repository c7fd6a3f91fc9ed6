"""`morphoscope classify survey …`: compare the classifier with clinicians on the same images."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from morphoscope.apps.commands.options import (
    CohortPath,
    ConfigFile,
    Device,
    Overwrite,
    Run,
    Set,
    open_run,
    option,
)
from morphoscope.configs import load_config
from morphoscope.configs.survey import SurveyAnalysis, SurveyBuilding
from morphoscope.runtime.terminal import say

app = typer.Typer(help="Surveys of clinicians, and the classifier against them.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DEST", help="Folder that `survey build` made.")]


@app.command()
def build(
    path: CohortPath,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="New folder for forms and key.")],
    surveys: Annotated[int | None, option(SurveyBuilding, "surveys")] = None,
    per_condition: Annotated[int | None, option(SurveyBuilding, "per_condition")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Annotated[int | None, option(SurveyBuilding, "seed")] = None,
) -> None:
    """Make survey forms (HTML, offline) of test images that no model was trained on, and their key."""
    settings = load_config(
        SurveyBuilding,
        file=config,
        overrides=set_,
        surveys=surveys,
        per_condition=per_condition,
        seed=seed,
    )

    from morphoscope.classify.survey.building import FORMS, KEY, build_surveys
    from morphoscope.cohort import Cohort

    built = build_surveys(Cohort.load(path), destination, settings)
    questions, shown = len(built.key) // settings.surveys, built.showings
    often = f"{shown.min()}" if shown.min() == shown.max() else f"{shown.min()} to {shown.max()}"
    say(
        f"{settings.surveys} surveys of {questions} images each ({len(built.conditions)} conditions); "
        f"{len(shown)} different images, each shown {often} times."
    )
    say(f"Hand out {destination / FORMS}; keep {destination / KEY} to yourself.")


@app.command()
def power(
    difference: Annotated[float, typer.Option(help="True difference of accuracies to detect.")],
    deviation: Annotated[
        float, typer.Option(help="Standard deviation of the differences between surveys, e.g. from a pilot.")
    ],
    surveys: Annotated[int | None, typer.Option(help="Report the power of this number of surveys.")] = None,
) -> None:
    """Compute how many surveys a paired t-test (two-sided, p < 0.05) needs to detect a difference."""
    from morphoscope.classify.survey.power import paired_power, surveys_needed

    for wished in (0.8, 0.9):
        enough = surveys_needed(difference, deviation, wished)
        say(f"{enough} surveys for a power of {wished:.0%}")
    if surveys is not None:
        found = paired_power(difference, deviation, surveys)
        say(f"{surveys} surveys have a power of {found:.1%}")


@app.command()
def analyse(
    folder: Folder,
    answers: Annotated[
        Path, typer.Argument(metavar="ANSWERS", help="Folder of the participants' CSV files.")
    ],
    ensemble: Annotated[
        list[Path],
        typer.Option(help="The ensemble's .safetensors file; repeatable, one per view."),
    ],
    cohort: Annotated[Path, typer.Option(help="The cohort that the surveys were built from.")],
    rows: Annotated[Literal["test", "all"] | None, option(SurveyAnalysis, "rows")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(SurveyAnalysis, "seed")] = None,
) -> None:
    """Compare participants with an ensemble that has not seen the images: report.html and its tables."""
    settings = load_config(SurveyAnalysis, file=config, overrides=set_, seed=seed, rows=rows)

    from morphoscope.classify import Ensemble, evaluate
    from morphoscope.classify.survey.analysis import analyse as compare_all
    from morphoscope.classify.survey.answers import read_answers
    from morphoscope.classify.survey.building import Surveys
    from morphoscope.classify.survey.report import format_points, write_analysis
    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.runtime import InputFiles

    surveys = Surveys.load(folder)
    read = read_answers(answers, surveys)  # before the classifier takes its time
    pictures = Cohort.load(cohort)
    models = [Ensemble.load(path, device) for path in ensemble]
    inputs: dict[str, Any] = {
        "surveys": InputFiles(folder),
        "answers": InputFiles(answers),
        "cohort": CohortInput(pictures),
        **{f"ensemble_{number}": InputFiles(path) for number, path in enumerate(ensemble, 1)},
    }
    with open_run(run, "survey", settings, overwrite=overwrite, **inputs) as opened:
        evaluations = [
            evaluate(model, pictures, settings.rows, view=model.view, strata=False) for model in models
        ]
        analysis = compare_all(surveys, read, evaluations, settings)
        facts = [evaluation.facts.as_json() for evaluation in evaluations]
        report = write_analysis(analysis, opened.path, facts)
    for name, number in analysis.counts().labelled().items():
        say(f"{name}: {number}")
    for sentence in read.left_out:
        say(f"Left out: {sentence}")
    for sentence in read.warnings:
        say(f"Warning: {sentence}")
    for found in analysis.comparisons:
        clinicians, classifier, difference = found.accuracies
        say(
            f"{found.view}, {found.specialty}: classifier {classifier.value:.3f}, clinicians "
            f"{clinicians.value:.3f}, difference {format_points(difference)} points "
            f"({found.participants} participants, {found.answers} answers)"
        )
    say(f"Wrote {report}")
