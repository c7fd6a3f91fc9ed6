"""The row that requests an attribution map; each tab has one."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from morphoscope.apps.studio import figures
from morphoscope.apps.studio.words import METHODS
from morphoscope.apps.texts import text
from morphoscope.classify import Ensemble
from morphoscope.cohort.conditions import long_name
from morphoscope.configs import UserError
from morphoscope.configs.attribution import Method
from morphoscope.generate import GeneratorModel

MOST_PROBABLE = text("map.most_probable")


@dataclass(frozen=True)
class AttributionRow:
    """Components of the row, and the place for the map below it."""

    target: gr.Dropdown
    method: gr.Dropdown
    ask: gr.Button
    map_: gr.HTML


def condition_choices(model: GeneratorModel | Ensemble) -> list[tuple[str, str]]:
    """(label, value) of each condition of a model for a dropdown; the label spells the condition out."""
    return [(long_name(name, model.descriptions), name) for name in model.conditions]


def attribution_row(ensemble: Ensemble, name: str) -> AttributionRow:
    """Lay out the row inside the current Blocks context; ids of its components start with `name`."""
    with gr.Row(elem_classes="ms-controls"):
        target = gr.Dropdown(
            [(MOST_PROBABLE, MOST_PROBABLE), *condition_choices(ensemble)],
            value=MOST_PROBABLE,
            label=text("map.target"),
            elem_id=f"{name}-target",
            min_width=180,
        )
        method = gr.Dropdown(
            list(METHODS),
            value="Integrated gradients",
            label=text("map.method"),
            elem_id=f"{name}-method",
            min_width=180,
        )
        ask = gr.Button(text("map.ask"), variant="primary", elem_id=f"{name}-ask", min_width=240)
    return AttributionRow(target, method, ask, gr.HTML(no_map(), elem_id=f"{name}-map"))


def map_of(html: str, subject: Sequence[Any]) -> str:
    """A map's HTML with the values that select what it is a map of, for `keep_while_current`."""
    return f'<div data-subject="{escape(json.dumps(list(subject)))}">{html}</div>'


def keep_while_current(
    row: AttributionRow, changes: Sequence[Callable[..., Any]], subject: list[gr.components.Component]
) -> None:
    """Show a map, as `map_of` makes it, for as long as `subject` has the values that it was made for.

    Decided in the browser by these values, never by the order in which answers arrive: a map may come after
    another frame was selected, and a frame after the map that was requested for it.

    Args:
        changes: events of `subject`, if they can change without a new map.
    """
    empty = json.dumps(no_map())
    current = f"""(map, ...subject) => {{
        const found = new DOMParser().parseFromString(map ?? "", "text/html").querySelector("[data-subject]");
        if (!found) return map;
        const of = JSON.parse(found.dataset.subject);
        return subject.every((value, index) => value === of[index]) ? map : {empty};
    }}"""
    gr.on(
        [*changes, row.map_.change],
        None,
        [row.map_, *subject],
        row.map_,
        js=current,
        trigger_mode="multiple",
        show_progress="hidden",
    )


def no_map() -> str:
    """HTML shown in place of a map until one is requested."""
    return figures.message(text("map.empty"), "empty")


def wanted_target(choice: object) -> str | None:
    """The condition chosen in the row, which need not exist; None for the most probable one."""
    return None if choice == MOST_PROBABLE else str(choice)


def wanted_method(choice: object) -> Method:
    """The method chosen in the row.

    Raises:
        UserError: there is no such method.
    """
    if not isinstance(choice, str) or choice not in METHODS:
        raise UserError(text("error.method", value=repr(choice)[:40], known=", ".join(METHODS)))
    return METHODS[choice]
