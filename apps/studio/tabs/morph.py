"""The Morph tab: two conditions, a seed and a slider; the classifier's view of every frame."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import gradio as gr
import numpy as np

from morphoscope.apps.morphing import Morph, Workbench
from morphoscope.apps.studio import figures
from morphoscope.apps.studio.words import METHODS, change_of_mind, verdict
from morphoscope.configs import UserError

MOST_PROBABLE = "the most probable one"
ASK_FOR_MAP = "Ask, and the pixels that the classifier uses for the current picture are coloured here."
_MAX_SEED = 2**32 - 1
_EASY_SEEDS = 10_000  # "another seed" stays below, so that it can be read out and typed again
_DRAWINGS_KEPT = 64


@dataclass(frozen=True)
class MorphTab:
    """Components that other parts of the page need.

    Attributes:
        inputs: what identifies the current frame, in the order of `read_morph`'s arguments.
        send: button "Send to Classify".
    """

    inputs: list[gr.components.Component]
    send: gr.Button


def read_morph(
    a: str, b: str, seed: float | None, share: float | None, psi: float | None
) -> tuple[Morph, float]:
    """(morph, share) from the values of the controls.

    Raises:
        UserError: a field is empty.
    """
    for name, value in (("seed", seed), ("share", share), ("psi", psi)):
        if value is None:
            raise UserError(f"The field {name} is empty: type a number.")
    assert seed is not None and share is not None and psi is not None, "checked above"
    return Morph(a, b, int(seed), float(psi)), float(share)


def morph_tab(workbench: Workbench, page: gr.Blocks) -> MorphTab:
    """Lay out the tab inside the current Blocks context and wire it; `page` fires when it is opened."""
    a, b, seed, another = _choices(workbench.generator.conditions)
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            share = gr.Slider(
                0, 1, value=0.5, step=0.01, label=_share_label(b.value), elem_id="morph-share", buttons=[]
            )
            picture = gr.HTML(elem_id="morph-frame", min_height=300)
            send = gr.Button("Send to Classify", elem_id="morph-send")
            psi = _truncation()
        with gr.Column(scale=8, min_width=320):
            curve = gr.HTML(elem_id="morph-curve", min_height=240)
            judged = gr.HTML(elem_id="morph-judged", min_height=180)
    target, method, ask, map_ = attribution_controls(workbench, "morph")

    inputs: list[gr.components.Component] = [a, b, seed, share, psi]
    changes = [page.load, a.change, b.change, seed.change, share.change, psi.change]
    show = _Views(workbench)
    latest = {"trigger_mode": "always_last", "api_visibility": "private"}
    gr.on(changes, show.frame, inputs, [picture, judged, map_], show_progress="hidden", **latest)
    gr.on(changes, show.curve, inputs, curve, show_progress="minimal", **latest)  # a new pair takes a moment
    b.change(lambda name: gr.Slider(label=_share_label(name)), b, share, api_visibility="private")
    another.click(_another_seed, None, seed, api_visibility="private")
    ask.click(
        show.attribution, [*inputs, target, method], map_, api_visibility="private", concurrency_id="map"
    )
    return MorphTab(inputs, send)


def attribution_controls(
    workbench: Workbench, name: str
) -> tuple[gr.Dropdown, gr.Dropdown, gr.Button, gr.HTML]:
    """The row that asks for an attribution map, and the place for the map; ids start with `name`."""
    with gr.Row(elem_classes="ms-controls"):
        target = gr.Dropdown(
            [MOST_PROBABLE, *workbench.ensemble.conditions],
            value=MOST_PROBABLE,
            label="Evidence for",
            elem_id=f"{name}-target",
            min_width=180,
        )
        method = gr.Dropdown(
            list(METHODS),
            value="Integrated gradients",
            label="Method",
            elem_id=f"{name}-method",
            min_width=180,
        )
        ask = gr.Button(
            "Where does the classifier look?", variant="primary", elem_id=f"{name}-ask", min_width=240
        )
    map_ = gr.HTML(figures.message(ASK_FOR_MAP, "empty"), elem_id=f"{name}-map")
    return target, method, ask, map_


def _choices(names: list[str]) -> tuple[gr.Dropdown, gr.Dropdown, gr.Number, gr.Button]:
    """The row above the picture: two conditions, which start as different ones, and the seed."""
    with gr.Row(elem_classes="ms-controls"):
        a = gr.Dropdown(names, value=names[0], label="From condition", elem_id="morph-a", min_width=140)
        second = names[1 % len(names)]
        b = gr.Dropdown(names, value=second, label="To condition", elem_id="morph-b", min_width=140)
        seed = gr.Number(
            0,
            label="Seed: which skin",
            precision=0,
            minimum=0,
            maximum=_MAX_SEED,
            elem_id="morph-seed",
            min_width=140,
        )
        another = gr.Button("Another seed", elem_id="morph-another", min_width=140)
    return a, b, seed, another


def _truncation() -> gr.Slider:
    with gr.Accordion("Truncation", open=False):
        return gr.Slider(
            0,
            1,
            value=0.7,
            step=0.05,
            label="Truncation psi",
            info="Lower: closer to the condition's average picture. 1: the generator's full variety.",
            elem_id="morph-psi",
            buttons=[],
        )


def _share_label(condition: str) -> str:
    return f"Share of {condition}"


def wanted_target(choice: str) -> str | None:
    """The condition chosen in the attribution row; None for the most probable one."""
    return None if choice == MOST_PROBABLE else choice


class _Views:
    """The tab's event handlers: values of the controls -> HTML."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        self.drawing: Callable[[Morph], figures.CurveDrawing] = lru_cache(_DRAWINGS_KEPT)(self._drawing)

    def frame(
        self, a: str, b: str, seed: float | None, share: float | None, psi: float | None
    ) -> tuple[str, str, str]:
        """(picture, verdict and bars, the map's place emptied: it would belong to another frame)."""
        morph, ratio = _read(a, b, seed, share, psi)
        image = self.workbench.frame(morph, ratio)
        prediction = self.workbench.judge(image)
        kind = "warning" if prediction.unsure[0] else "note"
        judged = figures.bars(prediction) + figures.message(verdict(prediction), kind)
        picture = figures.frame(image, morph, ratio, self.workbench.generator.digest)
        return picture, judged, figures.message(ASK_FOR_MAP, "empty")

    def curve(self, a: str, b: str, seed: float | None, share: float | None, psi: float | None) -> str:
        """The curve with the marker at the current share, and the sentence below it."""
        morph, ratio = _read(a, b, seed, share, psi)
        sentence = change_of_mind(self.workbench.curve(morph), morph)
        description = f"Probability of each condition along the morph from {morph.a} to {morph.b}. {sentence}"
        return self.drawing(morph).at(ratio, description) + figures.message(sentence)

    def attribution(
        self,
        a: str,
        b: str,
        seed: float | None,
        share: float | None,
        psi: float | None,
        choice: str,
        method: str,
    ) -> str:
        """The map over the current frame."""
        morph, ratio = _read(a, b, seed, share, psi)
        image = self.workbench.frame(morph, ratio)
        found = self.workbench.attribute(image, wanted_target(choice), METHODS[method])
        origin = figures.provenance(morph, ratio, self.workbench.generator.digest)
        return figures.attribution(image, found, len(self.workbench.ensemble.folds), origin)

    def _drawing(self, morph: Morph) -> figures.CurveDrawing:
        return figures.draw_curve(self.workbench.curve(morph), morph)


def _read(a: str, b: str, seed: float | None, share: float | None, psi: float | None) -> tuple[Morph, float]:
    try:
        return read_morph(a, b, seed, share, psi)
    except UserError as error:
        raise gr.Error(str(error), title="Please check the controls") from error


def _another_seed() -> int:
    return int(np.random.default_rng().integers(_EASY_SEEDS))
