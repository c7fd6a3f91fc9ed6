"""The Classify tab: one photograph, what each fold's model says of it, and where they look."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio import figures
from morphoscope.apps.studio.marks import fitted
from morphoscope.apps.studio.tabs.morph import (
    ASK_FOR_MAP,
    MorphTab,
    attribution_controls,
    read_morph,
    wanted_target,
)
from morphoscope.apps.studio.words import METHODS, certainty, verdict
from morphoscope.cohort import read_image
from morphoscope.configs import UserError

CLASSIFY = "classify"
MAX_UPLOAD = "32mb"
_KEPT_SIDE = 1024  # pixels; a photograph waits for its attribution at this size at most
_KEPT_SECONDS = 3600
_NOTHING_YET = "No picture yet: drop a photograph, or send a frame from the Morph tab."
_ACCEPTED = "JPEG, PNG, TIFF, BMP, GIF or WebP, up to 32 MB. It stays on this machine and is not kept."


@dataclass(frozen=True)
class Picture:
    """The picture on the Classify tab; it lives in the session's memory only.

    Attributes:
        pixels: uint8 [H, W, 3], longer side at most 1024.
        provenance: what a generator made it from; None for a photograph.
    """

    pixels: np.ndarray
    provenance: str | None


Shown = tuple[Picture | None, str, str, str]
"""(picture to remember, HTML of the picture, of the judgement, of the map's place)."""


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
            photo = gr.HTML(figures.message(_ACCEPTED, "empty"), elem_id="classify-photo")
        with gr.Column(scale=6, min_width=320):
            judged = gr.HTML(figures.message(_NOTHING_YET, "empty"), elem_id="classify-judged")
    target, method, ask, map_ = attribution_controls(workbench, "classify")

    handlers = _Handlers(workbench)
    shown = [remembered, photo, judged, map_]
    upload.upload(handlers.uploaded, upload, [upload, *shown], api_visibility="private")
    morph.send.click(handlers.sent, morph.inputs, [tabs, *shown], api_visibility="private")
    ask.click(
        handlers.attribution,
        [remembered, target, method],
        map_,
        api_visibility="private",
        concurrency_id="map",
    )


class _Handlers:
    """The tab's event handlers."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench

    def uploaded(self, path: str) -> tuple[None, Picture | None, str, str, str]:
        """Judge an uploaded file and remove it; the first output empties the field for the next one."""
        return None, *judge_file(self.workbench, Path(path))

    def sent(
        self, a: str, b: str, seed: float | None, share: float | None, psi: float | None
    ) -> tuple[gr.Tabs, Picture | None, str, str, str]:
        """Judge the frame of the Morph tab, and turn to this tab."""
        try:
            morph, ratio = read_morph(a, b, seed, share, psi)
        except UserError as error:
            raise gr.Error(str(error), title="Please check the controls") from error
        image = self.workbench.frame(morph, ratio)
        origin = figures.provenance(morph, ratio, self.workbench.generator.digest)
        return gr.Tabs(selected=CLASSIFY), *judge_picture(
            self.workbench, image, f"Synthetic picture: {morph.mixture(ratio)}", origin
        )

    def attribution(self, picture: Picture | None, choice: str, method: str) -> str:
        """The map over the picture that is shown."""
        if picture is None:
            return figures.message("There is no picture to look at: upload a photograph first.", "warning")
        found = self.workbench.attribute(picture.pixels, wanted_target(choice), METHODS[method])
        return figures.attribution(
            picture.pixels, found, len(self.workbench.ensemble.folds), picture.provenance
        )


def judge_file(workbench: Workbench, path: Path) -> Shown:
    """Read an uploaded file with the cohort's reader, remove it, and judge it.

    What cannot be read is said on the page: there is no picture then.
    """
    try:
        image = read_image(path, path.name)
    except UserError as error:
        text = f"This file cannot be classified. {error}"
        accepted = figures.message(_ACCEPTED, "empty")
        return None, accepted, figures.message(text, "error"), figures.message(ASK_FOR_MAP, "empty")
    finally:
        path.unlink(missing_ok=True)
    return judge_picture(workbench, image, path.name, None)


def judge_picture(workbench: Workbench, image: np.ndarray, name: str, provenance: str | None) -> Shown:
    """What the tab shows for a picture, uint8 [H, W, 3] of any size."""
    prediction = workbench.judge(image)
    kept = fitted(image, _KEPT_SIDE) if max(image.shape[:2]) > _KEPT_SIDE else image
    kind = "warning" if prediction.unsure[0] else "note"
    unlike, remains = certainty(prediction)
    judged = figures.message(unlike, "warning") if unlike is not None else ""
    judged += figures.message(verdict(prediction), kind) + figures.bars(prediction, by_probability=True)
    judged += figures.message(remains)
    if image.shape[0] != image.shape[1] and workbench.ensemble.config.fit == "crop":
        judged += figures.message("The classifier sees the central square of this picture only.")
    return (
        Picture(kept, provenance),
        figures.photograph(kept, name, provenance),
        judged,
        figures.message(ASK_FOR_MAP, "empty"),
    )
