"""The Classify tab: a photograph or a sent image, what the classifier predicts for it, and why."""

import gradio as gr

from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.classify import Classify
from morphoscope.apps.studio.web import script, template
from morphoscope.apps.studio.words import METHODS, MOST_PROBABLE, condition_choices
from morphoscope.apps.texts import texts


def classify_tab(actions: Actions, classify: Classify) -> None:
    """Lay out the tab inside the current Blocks context.

    The browser keeps the photograph and sends it with each request; the studio forgets it with the answer.
    """
    ensemble = actions.workbench.ensemble
    gr.HTML(
        "",
        html_template=template("classify"),
        js_on_load=script("common", "bars", "crop", "webcam", "photograph", "classify"),
        apply_default_css=False,
        elem_id="classify",
        server_functions=[
            actions.answered(action) for action in (classify.classify, classify.explain, classify.similar)
        ],
        t=texts("classify", "map", "bars", "percent", "morph", "upload"),
        targets=[(MOST_PROBABLE, MOST_PROBABLE), *condition_choices(ensemble)],
        methods=list(METHODS),
        dual=ensemble.dual,
    )
