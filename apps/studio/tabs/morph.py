"""The Morph tab: two conditions, a seed and a slider; the classifier's predictions for every frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from morphoscope.apps.morph_chart import MorphChart, draw_curve
from morphoscope.apps.morphing import LARGEST_BATCH, Frame, Morph, Workbench
from morphoscope.apps.studio import figures
from morphoscope.apps.studio.attribution_row import (
    attribution_row,
    condition_choices,
    keep_while_current,
    map_of,
    wanted_method,
    wanted_target,
)
from morphoscope.apps.studio.reporting import reported
from morphoscope.apps.studio.words import change_of_mind
from morphoscope.configs import UserError

_MAX_SEED = 2**32 - 1
_EASY_SEEDS = 10_000  # "Another seed" stays below, so that a seed can be read out and typed in
_CHARTS_KEPT = 64


@dataclass(frozen=True)
class MorphTab:
    """Components that other parts of the page need.

    Attributes:
        inputs: what selects the current frame; their values are the fields of `Controls`, in that order.
        send: button "Send to Classify".
    """

    inputs: list[gr.components.Component]
    send: gr.Button


class Controls(NamedTuple):
    """Values of the controls that select a frame, as the browser sends them: of any type and size."""

    a: object
    b: object
    seed: object
    share: object
    psi: object

    def frame(self, conditions: Sequence[str]) -> Frame:
        """The selected frame.

        Raises:
            UserError: a field is empty or out of range, or an unknown condition.
        """
        a, b = (_condition(value, conditions) for value in (self.a, self.b))
        seed = _number("seed", self.seed, _MAX_SEED)
        if seed != int(seed):
            raise UserError(f"The field seed is {seed:g}: it takes whole numbers.")
        share, psi = _number("share", self.share, 1), _number("psi", self.psi, 1)
        return Frame(Morph(a, b, int(seed), psi), share)


def _condition(value: object, conditions: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in conditions:
        raise UserError(f"There is no condition {value!r}; choose one of {', '.join(conditions)}.")
    return value


def _number(name: str, value: object, highest: int) -> float:
    """A number from 0 to `highest`; NaN is none."""
    if value is None:
        raise UserError(f"The field {name} is empty: type a number.")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= highest:
        raise UserError(f"The field {name} is {str(value)[:40]}: it takes numbers from 0 to {highest}.")
    return float(value)


def selected_frame(workbench: Workbench, *controls: object) -> Frame:
    """The frame that the controls' values select.

    Raises:
        UserError: as `Controls.frame`.
    """
    return Controls(*controls).frame(workbench.generator.conditions)


def morph_tab(workbench: Workbench, page: gr.Blocks) -> MorphTab:
    """Lay out the tab inside the current Blocks context and wire it; `page` fires when it is opened."""
    names = workbench.generator.conditions
    first, second = names[0], names[1 % len(names)]
    with gr.Row(elem_classes="ms-controls"):
        choices = condition_choices(workbench.generator)
        a = gr.Dropdown(choices, value=first, label="From condition", elem_id="morph-a", min_width=140)
        b = gr.Dropdown(choices, value=second, label="To condition", elem_id="morph-b", min_width=140)
        seed = _seed()
        another = gr.Button("Another seed", elem_id="morph-another", min_width=140)
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            share = _share(second)
            picture = gr.HTML(elem_id="morph-frame", min_height=300)
            send = gr.Button("Send to Classify", elem_id="morph-send")
            psi = _truncation()
        with gr.Column(scale=8, min_width=320):
            curve = gr.HTML(elem_id="morph-curve", min_height=240)
            predicted = gr.HTML(elem_id="morph-prediction", min_height=180)
    row = attribution_row(workbench.ensemble, "morph")

    inputs: list[gr.components.Component] = [a, b, seed, share, psi]
    moves = [a.change, b.change, seed.change, share.change, psi.change]
    changes = [page.load, *moves]
    show = _Handlers(workbench)
    latest: dict[str, Any] = {
        "trigger_mode": "always_last",
        "api_visibility": "private",
        "preprocess": False,  # the handlers check the values themselves, and say what is wrong in our words
    }
    frame, curve_of = reported(show.frame), reported(show.curve)
    gr.on(
        changes,
        frame,
        inputs,
        [picture, predicted],
        show_progress="hidden",
        concurrency_limit=LARGEST_BATCH,  # these wait for one another, and are computed together
        **latest,
    )
    redrawn = [event for event in changes if event != share.change]
    gr.on(redrawn, curve_of, inputs, curve, show_progress="minimal", concurrency_limit=4, **latest)
    gr.on([share.change, curve.change], None, share, None, js=figures.MOVE_MARKER, trigger_mode="multiple")
    b.change(lambda name: gr.Slider(label=_share_label(name)), b, share, api_visibility="private")
    another.click(_another_seed, None, seed, api_visibility="private")
    row.ask.click(
        reported(show.attribution),
        [row.target, row.method, *inputs],
        row.map_,
        concurrency_id="map",
        **latest,
    )
    keep_while_current(row, moves, inputs)
    return MorphTab(inputs, send)


def _seed() -> gr.Number:
    return gr.Number(
        0,
        label="Seed (which skin)",
        precision=0,
        minimum=0,
        maximum=_MAX_SEED,
        elem_id="morph-seed",
        min_width=140,
    )


def _share(condition: str) -> gr.Slider:
    label = _share_label(condition)
    return gr.Slider(0, 1, value=0.5, step=0.01, label=label, elem_id="morph-share", buttons=[])


def _share_label(condition: str) -> str:
    return f"Share of {condition}"


def _truncation() -> gr.Slider:
    with gr.Accordion("Truncation", open=False):
        return gr.Slider(
            0,
            1,
            value=0.7,
            step=0.05,
            label="Truncation psi",
            info="Lower values stay closer to the condition's average image; 1 gives full variety.",
            elem_id="morph-psi",
            buttons=[],
        )


class _Handlers:
    """The tab's event handlers: values of the controls -> HTML."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        self.charts: Callable[[Morph], tuple[MorphChart, MorphChart]] = lru_cache(_CHARTS_KEPT)(self._charts)

    def frame(self, *controls: Any) -> tuple[str, str]:
        """(picture, bars and verdict)."""
        frame = selected_frame(self.workbench, *controls)
        image, prediction = self.workbench.look_at(frame)
        picture = figures.frame(image, frame, self.workbench.provenance(frame))
        return picture, figures.prediction(prediction, descriptions=self.workbench.ensemble.descriptions)

    def curve(self, *controls: Any) -> str | dict[str, Any]:
        """The curve with the marker at the current share, and the sentence below it."""
        try:
            frame = selected_frame(self.workbench, *controls)
        except UserError:
            return gr.skip()  # `frame`, which the same events call, reports it
        morph = frame.morph
        sentence = change_of_mind(self.workbench.curve(morph))
        description = f"Probability of each condition along the morph from {morph.a} to {morph.b}. {sentence}"
        return figures.curve(*self.charts(morph), frame.share, description) + figures.message(sentence)

    def attribution(self, choice: object, method: object, *controls: Any) -> str:
        """The map over the current frame."""
        frame = selected_frame(self.workbench, *controls)
        image = self.workbench.image(frame)
        found = self.workbench.attribute(image, wanted_target(choice), wanted_method(method))
        provenance = self.workbench.provenance(frame)
        ensemble = self.workbench.ensemble
        html = figures.attribution(image, found, len(ensemble.folds), provenance, ensemble.descriptions)
        return map_of(html, controls)

    def _charts(self, morph: Morph) -> tuple[MorphChart, MorphChart]:
        """(for wide pages, for narrow ones)."""
        curve = self.workbench.curve(morph)
        return draw_curve(curve), draw_curve(curve, narrow=True)


def _another_seed() -> int:
    return int(np.random.default_rng().integers(_EASY_SEEDS))
