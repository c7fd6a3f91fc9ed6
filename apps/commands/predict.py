"""`morphoscope classify predict`: photographs without labels."""

from pathlib import Path
from typing import Annotated

import typer

from morphoscope.apps.commands.options import Device, EnsemblePath, option
from morphoscope.configs.commands import Evaluating
from morphoscope.runtime.terminal import say, show

PANORAMIC = "Panoramic photograph, for an ensemble of pairs, whose IMAGE is the focused one"
TestTime = Annotated[int | None, option(Evaluating, "test_time")]
PrevalenceOption = Annotated[str | None, option(Evaluating, "prevalence")]


def predict(
    ensemble: EnsemblePath,
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGE...",
            help="Photographs: files, folders (with subfolders) or quoted patterns, e.g. 'photos/**/*.jpg'.",
            show_default=False,
        ),
    ] = None,
    panoramic: Annotated[
        list[Path] | None, typer.Option(help=f"{PANORAMIC}; repeatable, in the same order.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="File for all predictions with whole paths: .csv or .json. An older file is replaced."
        ),
    ] = None,
    test_time: TestTime = None,
    prevalence: PrevalenceOption = None,
    device: Device = "auto",
) -> None:
    """Print the probabilities and the prediction set for each photograph (or pair). Not a diagnosis."""
    from morphoscope.apps.commands import photographs, prediction_files
    from morphoscope.apps.commands.classifier_output import (
        NOT_CALIBRATED,
        prediction_table,
        print_descriptions,
    )
    from morphoscope.apps.verdict import assumption
    from morphoscope.classify import Ensemble
    from morphoscope.classify.held_out import alarm_limits

    focused, others = photographs.photograph_files(images), photographs.photograph_files(panoramic)
    if output is not None:
        prediction_files.require_output(output)
        prediction_files.require_writable_names([*focused, *others])
    photographs.require_readable([*focused, *others])
    model = Ensemble.load(ensemble, device, test_time)
    files = photographs.ensemble_files(model, focused, others)
    prediction = model.predict(photographs.inputs(model, files), prevalence=prevalence)
    if output is not None:
        prediction_files.write_predictions(output, model, ensemble, files, prediction)
    show(prediction_table(photographs.short_names(files), prediction))
    say(assumption(prediction))
    print_descriptions(model)
    say(NOT_CALIBRATED if prediction.prediction_sets is None else alarm_limits(prediction.held_out))
    if output is not None:
        say(f"Wrote {output}")
