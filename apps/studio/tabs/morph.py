"""The Morph tab: two ends and a slider between them; the classifier's predictions for every frame."""

import gradio as gr

from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.web import script, template
from morphoscope.apps.studio.words import METHODS, MOST_PROBABLE, condition_choices
from morphoscope.apps.texts import text, texts

_PSI = 0.7
_TABS = ("morph", "explore", "classify", "faces", "learn", "teach", "models")  # of the page


def morph_tab(actions: Actions) -> None:
    """Lay out the tab inside the current Blocks context.

    The frames of a morph are sent to the browser once; the tab's script does all that follows the slider.
    """
    generator, ensemble = actions.workbench.generator, actions.workbench.ensemble
    names = generator.conditions
    first, second = names[0], names[1 % len(names)]
    gr.HTML(
        "",
        html_template=template("morph"),
        js_on_load=script("common", "tabs", "bars", "chart", "morph"),
        apply_default_css=False,
        elem_id="morph",
        server_functions=[
            actions.answered(action)
            for action in (
                actions.coarse,
                actions.morph,
                actions.picture,
                actions.attribution,
                actions.change,
            )
        ],
        t=texts("morph", "map", "bars", "percent"),
        tabs={name: text(f"tab.{name}") for name in _TABS},
        conditions=names,
        named={value: label for label, value in condition_choices(generator)},
        targets=[(MOST_PROBABLE, MOST_PROBABLE), *condition_choices(ensemble)],
        methods=list(METHODS),
        home={
            "a": first,
            "b": second,
            "seed_a": 0,
            "seed_b": 0,
            "psi": _PSI,
            "even": True,
            "at": 0.5,
            "mixture": f"50% {first} + 50% {second}",
        },
    )
