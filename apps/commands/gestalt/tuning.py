"""`morphoscope gestalt tune`: a linear head for a gallery, and whether it helps."""

from pathlib import Path
from typing import Annotated

import typer

from morphoscope.apps.commands.gestalt.evaluating import print_gallery_evaluation
from morphoscope.apps.commands.gestalt.options import GalleryPath, open_gallery, save_gallery
from morphoscope.apps.commands.options import ConfigFile, Set, option
from morphoscope.configs import load_config
from morphoscope.configs.faces import HeadTuning
from morphoscope.runtime.terminal import say


def tune(
    gallery: GalleryPath,
    output: Annotated[
        Path,
        typer.Option(help="New .safetensors file for the gallery with its head. An older file is replaced."),
    ],
    frequent: Annotated[int | None, option(HeadTuning, "frequent")] = None,
    held_out: Annotated[float | None, option(HeadTuning, "held_out")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Annotated[int | None, option(HeadTuning, "seed")] = None,
) -> None:
    """Train a linear head on the frequent syndromes of a gallery (ArcFace), and say whether it helps."""
    settings = load_config(
        HeadTuning, file=config, overrides=set_, frequent=frequent, held_out=held_out, seed=seed
    )

    from morphoscope.classify.gestalt import evaluate_gallery, tune_gallery

    known, secret = open_gallery(gallery)
    before, after = tune_gallery(known, settings)
    for name, one in (("Before", before), ("After", after)):
        say(f"{name}, people whom the head was not trained on:")
        print_gallery_evaluation(evaluate_gallery(one, frequent=settings.frequent))
    save_gallery(output, after, secret)
