"""`morphoscope classify allow-gallery`: the permission of a model's owner to show its training images."""

from typing import Annotated

import typer

from morphoscope.apps.commands.options import EnsemblePath
from morphoscope.runtime.terminal import say


def allow_gallery(
    ensemble: EnsemblePath,
    revoke: Annotated[bool, typer.Option("--revoke", help="Withdraw the permission.")] = False,
) -> None:
    """Record in an ensemble's file that the studio may show its training images; by default it may not.

    The file is replaced; the images themselves are not in it. Only who may show patients' photographs to
    everybody who uses the studio can give this permission.
    """
    from morphoscope.classify import Ensemble

    model = Ensemble.load(ensemble)
    model.metadata = model.metadata.model_copy(update={"training_images_shown": not revoke})
    model.save(ensemble)
    allowed = "may" if model.metadata.may_show_training_images else "may not"
    because = ": they are phantoms" if model.metadata.phantom else ""
    say(f"{ensemble}: the studio {allowed} show its training images{because}.")
