"""The Classify tab: one photograph, what each fold's model predicts for it, and where the models look."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio import answers, figures
from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.attribution_row import (
    attribution_row,
    keep_while_current,
    map_of,
    no_map,
    wanted_method,
    wanted_target,
)
from morphoscope.apps.studio.marks import kept_small
from morphoscope.apps.studio.reporting import reported
from morphoscope.apps.studio.requests import values_of
from morphoscope.apps.studio.upload_field import upload_field
from morphoscope.apps.studio.uploads import Uploads
from morphoscope.apps.texts import text
from morphoscope.cohort import Provenance, read_image
from morphoscope.configs import UserError

CLASSIFY = "classify"
Selection = Callable[[Mapping[str, Any]], answers.Shown]
_KEPT_SECONDS = 3600


@dataclass(frozen=True)
class ShownImage:
    """The image on the Classify tab; it lives in the session's memory only.

    Attributes:
        number: tells it from other images: the value of the upload field while it is shown.
        pixels: uint8 [H, W, 3], longer side at most 1024.
        provenance: how a generator made it; None for a photograph.
    """

    number: str
    pixels: np.ndarray
    provenance: Provenance | None


class Shown(NamedTuple):
    """Outputs of the tab for one image: the image to remember, and three pieces of HTML."""

    image: ShownImage | None
    picture: str
    prediction: str
    map_: str


def classify_tab(actions: Actions, senders: Mapping[gr.HTML, Selection], tabs: gr.Tabs) -> None:
    """Lay out the tab inside the current Blocks context and wire it.

    Args:
        senders: components of other tabs whose event `send` sends an image here, and what finds it.
    """
    workbench = actions.workbench
    remembered = gr.State(None, time_to_live=_KEPT_SECONDS)
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            field = upload_field()
            picture = gr.HTML(elem_id="classify-picture")
        with gr.Column(scale=6, min_width=320):
            predicted = gr.HTML(
                figures.message(text("classify.empty"), "empty"), elem_id="classify-prediction"
            )
    row = attribution_row(workbench.ensemble, "classify")

    handlers = _Handlers(actions)
    shown = [remembered, picture, predicted, row.map_]
    raw: dict[str, Any] = {"preprocess": False, "api_visibility": "private"}
    field.upload(reported(handlers.uploaded), field, shown, **raw)
    for sender, selection in senders.items():
        sent = partial(handlers.sent, selection)
        sender.send(reported(sent), sender, [tabs, field, *shown], api_name="sent", **raw)
    row.ask.click(
        reported(handlers.map_of_shown),
        [remembered, row.target, row.method],
        row.map_,
        concurrency_id="map",
        **raw,
    )
    keep_while_current(row, [], [field])


class _Handlers:
    """The tab's event handlers."""

    def __init__(self, actions: Actions) -> None:
        self.workbench, self.uploads = actions.workbench, actions.uploads

    def uploaded(self, token: object) -> Shown:
        """Classify the upload of a token."""
        return classify_upload(self.workbench, self.uploads, token)

    def sent(self, selection: Selection, request: object) -> tuple[Any, ...]:
        """Classify an image of another tab, and switch to this tab: (tabs, field, *Shown)."""
        frame = selection(values_of(request))
        number = secrets.token_urlsafe()
        name = text("morph.picture", mixture=frame.caption)
        shown = classify_image(self.workbench, frame.image, name, frame.origin, number)
        return gr.Tabs(selected=CLASSIFY), number, *shown

    def map_of_shown(self, image: ShownImage | None, choice: object, method: object) -> str:
        """The map over the image that is shown."""
        if image is None:
            return figures.message(text("classify.no_picture"), "warning")
        found = self.workbench.attribute(image.pixels, wanted_target(choice), wanted_method(method))
        ensemble = self.workbench.ensemble
        html = figures.attribution(
            image.pixels, found, len(ensemble.folds), image.provenance, ensemble.descriptions
        )
        return map_of(html, [image.number])


def classify_upload(workbench: Workbench, uploads: Uploads, token: object) -> Shown:
    """Read an upload with the cohort's reader and classify the image.

    A file that cannot be read is named on the page with the reason; nothing of an earlier image remains then.
    """
    try:
        upload = uploads.take(token)
        image = read_image(upload.data, upload.name)
    except UserError as error:
        return Shown(None, "", figures.message(text("classify.no_result", reason=error), "error"), no_map())
    return classify_image(workbench, image, upload.name, None, str(token))


def classify_image(
    workbench: Workbench, image: np.ndarray, name: str, provenance: Provenance | None, number: str
) -> Shown:
    """What the tab shows for an image, uint8 [H, W, 3] of any size; provenance, number as in `ShownImage`."""
    prediction = workbench.predict(image)
    kept = kept_small(image)
    predicted = figures.prediction(prediction, True, workbench.ensemble.descriptions)
    if image.shape[0] != image.shape[1] and workbench.ensemble.config.images.fit == "crop":
        predicted += figures.message(text("classify.square"))
    picture = figures.photograph(kept, name, provenance)
    return Shown(ShownImage(number, kept, provenance), picture, predicted, no_map())
