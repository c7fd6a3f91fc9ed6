"""`morphoscope classify explain`: the pixels that the probability of a condition depends on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from morphoscope.apps.commands.options import (
    ConfigFile,
    Device,
    EnsemblePath,
    Overwrite,
    Run,
    Set,
    open_run,
    option,
)
from morphoscope.apps.commands.predict import PANORAMIC
from morphoscope.configs import load_config
from morphoscope.configs.attribution import Baseline, Method
from morphoscope.configs.commands import Explaining
from morphoscope.runtime.terminal import say


def explain(
    ensemble: EnsemblePath,
    image: Annotated[
        Path | None, typer.Argument(metavar="IMAGE", help="A photograph.", show_default=False)
    ] = None,
    panoramic: Annotated[Path | None, typer.Option(help=f"{PANORAMIC}.")] = None,
    condition: Annotated[
        str | None, typer.Option(help="Condition to explain; the most probable one by default.")
    ] = None,
    method: Annotated[Method | None, option(Explaining, "method")] = None,
    baseline: Annotated[Baseline | None, option(Explaining, "baseline")] = None,
    steps: Annotated[int | None, option(Explaining, "steps")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Explaining, "seed")] = None,
) -> None:
    """Map the pixels that a condition's probability depends on: a page, figures, tables and the maps.

    report.html says what to read into them. overlay shows the image and the map beside it, models the map
    of each model; both are PNG, SVG and PDF. models.csv and probabilities.csv have the numbers, map.npy and
    folds.npy the maps. Integrated gradients also write deltas.npy, each model's convergence delta.
    """
    settings = load_config(
        Explaining,
        file=config,
        overrides=set_,
        method=method,
        baseline=baseline,
        steps=steps,
        seed=seed,
    )

    from morphoscope.apps.commands import photographs
    from morphoscope.apps.commands.classifier_output import ONLY_PHANTOMS, print_attribution
    from morphoscope.classify import Ensemble
    from morphoscope.classify.attribution.explanation import Subject
    from morphoscope.classify.attribution.page import Explanation
    from morphoscope.cohort.conditions import long_name
    from morphoscope.runtime import InputFiles

    read = photographs.read_together(photographs.Files(image, panoramic))
    model = Ensemble.load(ensemble, device)
    (files,) = photographs.ensemble_files(
        model, *([] if path is None else [path] for path in (image, panoramic))
    )
    (name,), (pixels, provenance) = photographs.short_names([files]), photographs.as_one(model, files, read)
    prediction = model.predict([pixels])
    if condition is None:
        condition = model.conditions[int(prediction.predicted[0])]
    inputs: dict[str, Any] = {"ensemble": InputFiles(ensemble), "condition": condition}
    for view, shown in (("image", image), ("panoramic", panoramic)):
        inputs[view] = None if shown is None else InputFiles(shown)
    named = long_name(condition, model.descriptions)
    subject = Subject(named, name, [ONLY_PHANTOMS] if model.metadata.phantom else [], provenance)
    with open_run(run, "explain", settings, overwrite=overwrite, **inputs) as folder:
        found = model.attribute(pixels, condition, **settings.model_dump())
        seen = model.seen(pixels)
        explanation = Explanation(pixels, seen, found, prediction, model.folds, subject, model.descriptions)
        report = explanation.write(folder.path)
    print_attribution(found, named, settings)
    say(f"Wrote {folder.path}")
    say(f"Report: {report}")
