"""The Faces tab: a photograph of a face, what is seen in it, and the syndromes of a gallery ranked for it."""

import gradio as gr

from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.faces import Faces
from morphoscope.apps.studio.web import script, template
from morphoscope.apps.texts import texts
from morphoscope.runtime.reporting.plots import colour

_COLOURED = 5  # syndromes, the first of a ranking, have the same colours in the table and on the map


def faces_tab(actions: Actions, faces: Faces) -> None:
    """Lay out the tab inside the current Blocks context.

    The browser keeps the photograph and sends it with each request; the studio forgets it with the answer.
    """
    gestalt = faces.gestalt
    gr.HTML(
        "",
        html_template=template("faces"),
        js_on_load=script("common", "webcam", "photograph", "places", "faces"),
        apply_default_css=False,
        elem_id="faces",
        server_functions=[actions.answered(action) for action in (faces.look, faces.evidence, faces.gallery)],
        t=texts("faces", "upload", "morph"),
        syndromes=[] if gestalt is None else list(gestalt.gallery.syndromes),
        has_gallery=gestalt is not None,
        colours=[colour(index) for index in range(_COLOURED)],
    )
