"""`morphoscope classify compare`: which of several ensembles is better."""

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
from morphoscope.configs.commands import Comparing
from morphoscope.configs.views import PairedView
from morphoscope.runtime.progress import working
from morphoscope.runtime.terminal import say


def compare(
    ensembles: Annotated[
        list[Path], typer.Argument(metavar="ENSEMBLE ENSEMBLE...", help="Two or more .safetensors files.")
    ],
    path: CohortPath,
    rows: Annotated[Literal["test", "all"] | None, option(Comparing, "rows")] = None,
    view: Annotated[PairedView | None, option(Comparing, "view")] = None,
    margin: Annotated[float | None, option(Comparing, "margin")] = None,
    prevalence: Annotated[str | None, option(Comparing, "prevalence")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Comparing, "seed")] = None,
) -> None:
    """Compare ensembles on the same unseen images: is one better, are they equivalent, or is it open?"""
    settings = load_config(
        Comparing,
        file=config,
        overrides=set_,
        rows=rows,
        view=view,
        margin=margin,
        prevalence=prevalence,
        seed=seed,
    )

    from morphoscope.apps.commands.classifier_output import ensemble_names
    from morphoscope.apps.verdict import assumption
    from morphoscope.classify import Ensemble
    from morphoscope.classify.ensemble_comparison import compare_ensembles
    from morphoscope.classify.ensemble_comparison.report import write_comparison
    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.runtime import InputFiles

    cohort = Cohort.load(path)
    models = {
        name: Ensemble.load(file, device)
        for name, file in zip(ensemble_names(ensembles), ensembles, strict=True)
    }
    inputs: dict[str, Any] = {
        f"ensemble {number}": InputFiles(file) for number, file in enumerate(ensembles, 1)
    }
    inputs["cohort"] = CohortInput(cohort)
    with (
        open_run(run, "compare", settings, overwrite=overwrite, **inputs) as folder,
        working("Comparing ensembles", transient=True),
    ):
        comparison = compare_ensembles(models, cohort, settings)
        report = write_comparison(comparison, cohort, folder.path)
    for pair in comparison.pairs:
        say(pair.sentence)
    say(assumption(next(iter(comparison.evaluations.values())).prediction))
    say(f"Wrote {report}")
