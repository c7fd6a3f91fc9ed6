"""The Teach tab: sheets, strips, triangles, films and handouts to save."""

import gradio as gr

from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.teach import KINDS, Teach
from morphoscope.apps.studio.web import script, template
from morphoscope.apps.studio.words import condition_choices
from morphoscope.apps.texts import texts


def teach_tab(actions: Actions, teach: Teach) -> None:
    """Lay out the tab inside the current Blocks context."""
    generator = actions.workbench.generator
    gr.HTML(
        "",
        html_template=template("teach"),
        js_on_load=script("common", "teach"),
        apply_default_css=False,
        elem_id="teach",
        server_functions=[actions.answered(teach.material)],
        t=texts("teach", "explore", "morph"),
        conditions=generator.conditions,
        named={value: label for label, value in condition_choices(generator)},
        kinds={kind: list(formats) for kind, formats in KINDS.items()},
    )
