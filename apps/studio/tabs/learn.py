"""The Learn tab: a quiz about images of known condition."""

import gradio as gr

from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.learn import LEVELS, Learn
from morphoscope.apps.studio.web import script, template
from morphoscope.apps.studio.words import condition_choices
from morphoscope.apps.texts import texts


def learn_tab(actions: Actions, learn: Learn) -> None:
    """Lay out the tab inside the current Blocks context."""
    generator = actions.workbench.generator
    gr.HTML(
        "",
        html_template=template("learn"),
        js_on_load=script("common", "shares", "learn"),
        apply_default_css=False,
        elem_id="learn",
        server_functions=[
            actions.answered(action) for action in (learn.question, learn.reveal, learn.evidence, learn.score)
        ],
        t=texts("learn", "map", "morph"),
        conditions=learn.options,
        named={value: label for label, value in condition_choices(generator)},
        sources=learn.sources,
        levels=LEVELS,
    )
