"""The Explore tab: a wall of samples, mixtures of three conditions, mixed styles, and directions."""

import gradio as gr

from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.explore import DIRECTIONS, STRONGEST, Explore
from morphoscope.apps.studio.web import script, template
from morphoscope.apps.studio.words import condition_choices
from morphoscope.apps.texts import text, texts


def explore_tab(actions: Actions, explore: Explore) -> None:
    """Lay out the tab inside the current Blocks context."""
    generator = actions.workbench.generator
    gr.HTML(
        "",
        html_template=template("explore"),
        js_on_load=script("common", "explore"),
        apply_default_css=False,
        elem_id="explore",
        server_functions=[
            actions.answered(action)
            for action in (explore.wall, explore.triangle, explore.mix, explore.moved, explore.picture)
        ],
        t=texts("explore", "morph"),
        conditions=generator.conditions,
        named={value: label for label, value in condition_choices(generator)},
        tabs={name: text(f"tab.{name}") for name in ("morph", "classify")},
        directions=min(DIRECTIONS, generator.G.w_dim),
        strongest=STRONGEST,
    )
