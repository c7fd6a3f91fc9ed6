"""The Classify tab: one photograph, what each fold's model predicts for it, and where the models look."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio import figures
from morphoscope.apps.studio.attribution_row import attribution_row, no_map, wanted_target
from morphoscope.apps.studio.marks import fitted
from morphoscope.apps.studio.tabs.morph import MorphTab, selected_frame
from morphoscope.apps.studio.words import METHODS
from morphoscope.cohort import Provenance, read_image
from morphoscope.configs import UserError

CLASSIFY = "classify"
MAX_UPLOAD = "32mb"
_KEPT_SIDE = 1024  # pixels; at most this size is kept of a photograph, for its attribution map
_KEPT_SECONDS = 3600
_NOTHING_YET = "No picture yet: upload a photograph, or send a frame from the Morph tab."
_ACCEPTED = (
    "JPEG, PNG, TIFF, BMP, GIF or WebP, up to 32 MB. The photograph stays on this machine and is not kept."
)


@dataclass(frozen=True)
class ShownImage:
    """The image on the Classify tab; it lives in the session's memory only.

    Attributes:
        pixels: uint8 [H, W, 3], longer side at most 1024.
        provenance: how a generator made it; None for a photograph.
    """

    pixels: np.ndarray
    provenance: Provenance | None


class Shown(NamedTuple):
    """Outputs of the tab for one image: the image to remember, and three pieces of HTML."""

    image: ShownImage | None
    picture: str
    prediction: str
    map_: str


def classify_tab(workbench: Workbench, morph: MorphTab, tabs: gr.Tabs) -> None:
    """Lay out the tab inside the current Blocks context and wire it."""
    remembered = gr.State(None, time_to_live=_KEPT_SECONDS)
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            upload = gr.File(
                label="Photograph",
                elem_id="classify-upload",
                height=140,
                type="filepath",
            )
            picture = gr.HTML(figures.message(_ACCEPTED, "empty"), elem_id="classify-picture")
        with gr.Column(scale=6, min_width=320):
            predicted = gr.HTML(figures.message(_NOTHING_YET, "empty"), elem_id="classify-prediction")
    row = attribution_row(workbench.ensemble.conditions, "classify")

    handlers = _Handlers(workbench)
    shown = [remembered, picture, predicted, row.map_]
    upload.upload(handlers.uploaded, upload, [upload, *shown], api_visibility="private")
    morph.send.click(handlers.sent, morph.inputs, [tabs, *shown], api_visibility="private")
    row.ask.click(
        handlers.attribution,
        [remembered, row.target, row.method],
        row.map_,
        api_visibility="private",
        concurrency_id="map",
    )


class _Handlers:
    """The tab's event handlers."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench

    def uploaded(self, path: str) -> tuple[Any, ...]:
        """Classify an uploaded file and remove it: (None, which empties the field for the next, *Shown)."""
        return None, *classify_file(self.workbench, Path(path))

    def sent(self, *controls: Any) -> tuple[Any, ...]:
        """Classify the frame of the Morph tab, and switch to this tab: (tabs, *Shown)."""
        frame = selected_frame(*controls)
        image = self.workbench.image(frame)
        provenance = self.workbench.provenance(frame)
        name = f"Synthetic picture: {frame.mixture}"
        return gr.Tabs(selected=CLASSIFY), *classify_image(self.workbench, image, name, provenance)

    def attribution(self, image: ShownImage | None, choice: str, method: str) -> str:
        """The map over the image that is shown."""
        if image is None:
            return figures.message("There is no picture yet: upload a photograph first.", "warning")
        found = self.workbench.attribute(image.pixels, wanted_target(choice), METHODS[method])
        return figures.attribution(image.pixels, found, len(self.workbench.ensemble.folds), image.provenance)


def classify_file(workbench: Workbench, path: Path) -> Shown:
    """Read an uploaded file with the cohort's reader, remove it, and classify the image.

    A file that cannot be read is named on the page with the reason; nothing is remembered then.
    """
    try:
        image = read_image(path, path.name)
    except UserError as error:
        text = f"This file cannot be classified. {error}"
        accepted = figures.message(_ACCEPTED, "empty")
        return Shown(None, accepted, figures.message(text, "error"), no_map())
    finally:
        path.unlink(missing_ok=True)
    return classify_image(workbench, image, path.name, None)


def classify_image(
    workbench: Workbench, image: np.ndarray, name: str, provenance: Provenance | None
) -> Shown:
    """What the tab shows for an image, uint8 [H, W, 3] of any size; provenance as in `ShownImage`."""
    prediction = workbench.predict(image)
    kept = fitted(image, _KEPT_SIDE) if max(image.shape[:2]) > _KEPT_SIDE else image
    predicted = figures.prediction(prediction, by_probability=True)
    if image.shape[0] != image.shape[1] and workbench.ensemble.config.images.fit == "crop":
        predicted += figures.message("The classifier sees only the central square of this picture.")
    picture = figures.photograph(kept, name, provenance)
    return Shown(ShownImage(kept, provenance), picture, predicted, no_map())
