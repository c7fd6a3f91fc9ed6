"""The Models tab: which models these are, what they were trained on, their limits, what runs where."""

from collections.abc import Iterable, Sequence
from html import escape

import gradio as gr

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio.words import classifier_facts, generator_facts, runs_where
from morphoscope.apps.texts import text
from morphoscope.cohort.conditions import explained

_LIMITS = ("limit_diagnosis", "limit_probability", "limit_morph", "limit_training", "limit_alarm")


def models_tab(workbench: Workbench, faces: Sequence[tuple[str, str]] = ()) -> None:
    """Lay out the tab inside the current Blocks context; nothing is computed.

    Args:
        faces: (name, value) rows about the gallery of faces, if there is one.
    """
    cards = [
        _card("models.generator", _rows(generator_facts(workbench))),
        _card("models.classifier", _rows(classifier_facts(workbench))),
        _card("models.conditions", _rows(_conditions(workbench))),
        *([_card("faces.card", _rows(faces))] if faces else []),
        _card("models.limits", _list(text(f"models.{key}") for key in _LIMITS)),
        _card("models.where", _rows(runs_where(workbench))),
    ]
    gr.HTML(f'<div class="ms-cards">{"".join(cards)}</div>', elem_id="models")


def _card(title: str, content: str) -> str:
    return f'<section class="ms-card"><h2>{escape(text(title))}</h2>{content}</section>'


def _rows(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in facts
    )
    return f'<table class="ms-facts"><tbody>{rows}</tbody></table>'


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _conditions(workbench: Workbench) -> list[tuple[str, str]]:
    """Each condition of either model, what it stands for, and which model lacks it."""
    generator, ensemble = workbench.generator, workbench.ensemble
    found = []
    for name in dict.fromkeys([*generator.conditions, *ensemble.conditions]):
        known = [model for model in (generator, ensemble) if name in model.conditions]
        only = (
            ""
            if len(known) == 2
            else text("models.only_generator" if known[0] is generator else "models.only_classifier")
        )
        found.append((name, " ".join(filter(None, [explained(name, known[0].descriptions), only]))))
    return found
