"""`morphoscope app`."""

from pathlib import Path
from typing import Annotated

import typer

from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.apps.commands.gestalt.options import open_gestalt
from morphoscope.apps.commands.options import Device
from morphoscope.configs import UserError
from morphoscope.configs.precision import ConvolutionPrecision

_BUNDLED = "the bundled phantom model"


def studio(
    generator: Annotated[
        Path, typer.Option(help="A generator's .safetensors file.", show_default=_BUNDLED)
    ] = GENERATOR,
    ensemble: Annotated[
        Path, typer.Option(help="An ensemble's .safetensors file.", show_default=_BUNDLED)
    ] = ENSEMBLE,
    gallery: Annotated[
        Path | None,
        typer.Option(
            help="Cohort that the ensemble was trained on, to show its images beside similar photographs; "
            "needs the owner's permission (`classify allow-gallery`) unless it shows phantoms.",
            show_default="phantoms, for the bundled ensemble",
        ),
    ] = None,
    faces_gallery: Annotated[
        Path | None,
        typer.Option(
            help="Gallery for the tab Faces, a .safetensors file of `gestalt gallery`; the passphrase of an "
            "encrypted one comes from MORPHOSCOPE_PASSPHRASE or is asked for.",
            show_default="none: faces are found, but nothing is ranked",
        ),
    ] = None,
    faces_encoder: Annotated[
        Path | None,
        typer.Option(help="ONNX file of the encoder of that gallery, if it is one of your own."),
    ] = None,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Port at that address.")] = 7860,
    host: Annotated[
        str,
        typer.Option(
            help="Address of this machine at which it is served; another one than 127.0.0.1 needs a password "
            "in the environment variable MORPHOSCOPE_PASSWORD."
        ),
    ] = "127.0.0.1",
    precision: Annotated[
        ConvolutionPrecision,
        typer.Option(help="Of the generator's convolutions on a CPU; see `generate sample`."),
    ] = "float32",
    device: Device = "auto",
) -> None:
    """Open the studio in the browser, by default on this machine only: morph, classify, faces, learn …"""
    from morphoscope.apps.gallery import NO_GALLERIES, bundled_images, cohort_images
    from morphoscope.apps.studio import build, launch
    from morphoscope.classify import Ensemble
    from morphoscope.cohort import Cohort
    from morphoscope.generate import load
    from morphoscope.ops.dispatch import native_runs

    gestalt = None
    if faces_gallery is not None:
        gestalt = open_gestalt(faces_gallery, faces_encoder)
    elif faces_encoder is not None:
        raise UserError("--faces-encoder: give the gallery that was made with it, too (--faces-gallery).")
    model = load(generator, device, precision)
    classifier = Ensemble.load(ensemble, device)
    galleries = NO_GALLERIES
    if gallery is not None:
        galleries = cohort_images(Cohort.load(gallery), classifier)
    elif ensemble == ENSEMBLE:
        galleries = bundled_images()
    page = build(model, classifier, galleries, gestalt=gestalt)
    computes_on = model.class_means.device
    native_runs(computes_on.type, computes_on.index)  # built now, so that the first visitor does not wait
    launch(page, host=host, port=port)
