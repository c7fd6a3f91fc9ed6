"""Parts of the page as HTML: probability curve, bars, images, attribution maps.

Names of conditions and files come from other people's files: everything put into HTML is escaped.
"""

import re
from html import escape

import numpy as np

from morphoscope.apps.studio.answers import PICTURE_SIDE
from morphoscope.apps.studio.marks import data_uri, fitted
from morphoscope.apps.studio.words import explanation
from morphoscope.apps.texts import text
from morphoscope.apps.verdict import Kind, percent, spread, verdict
from morphoscope.classify import Attribution, Prediction, legend, overlay
from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import UNDESCRIBED, Descriptions, explained, full_name, long_name
from morphoscope.runtime.reporting.plots import colour

_BEFORE_NUMBER = re.compile(r"(?<=[<>]) (?=\d)")


def prediction(
    found: Prediction, by_probability: bool = False, descriptions: Descriptions = UNDESCRIBED
) -> str:
    """What the page says about the first image: the verdict, the bars, and what the verdict is worth.

    Args:
        by_probability, descriptions: as in `bars`.
    """
    answer = verdict(found)
    kind = "note" if answer.kind is Kind.ONE else "warning"
    return (
        message(answer.sentence, kind)
        + bars(found, by_probability, descriptions)
        + message(answer.details, "detail")
    )


def bars(
    prediction: Prediction, by_probability: bool = False, descriptions: Descriptions = UNDESCRIBED
) -> str:
    """Table of the first image's probabilities: a bar per condition, and a line for the single models' range.

    Args:
        by_probability: most probable condition first; else the classifier's own order, so that rows stay in
            place while a slider moves.
        descriptions: of the conditions, below their names.
    """
    combined = prediction.combined[0]
    folds = prediction.per_fold[:, 0]
    order = np.argsort(-combined, kind="stable") if by_probability else np.arange(len(combined))
    best, answers = int(prediction.predicted[0]), verdict(prediction).kind.answers
    rows = []
    for index in order.tolist():
        name = prediction.conditions[index]
        low, high = float(folds[:, index].min()), float(folds[:, index].max())
        first = ' class="ms-first"' if index == best and answers else ""
        rows.append(
            f'<tr{first}><th scope="row" title="{escape(explained(name, descriptions))}">{escape(name)}'
            f"<small>{escape(full_name(name, descriptions))}</small></th>"
            f'<td class="ms-track"><div><span class="ms-bar" style="width:{100 * combined[index]:.1f}%;'
            f'background:{colour(index)}"></span><span class="ms-range" style="left:{100 * low:.1f}%;'
            f'width:{100 * (high - low):.1f}%"></span></div></td>'
            f'<td class="ms-number">{escape(percent(float(combined[index])))}</td>'
            f'<td class="ms-number ms-spread">{escape(spread(low, high))}</td></tr>'
        )
    return (
        f'<table class="ms-bars"><thead><tr><th scope="col">{text("bars.condition")}</th><td></td>'
        f'<th scope="col" class="ms-number">{text("bars.ensemble")}</th>'
        f'<th scope="col" class="ms-number ms-spread">{text("bars.models")}</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def photograph(image: np.ndarray, name: str, provenance: Provenance | None) -> str:
    """An image to classify, uint8 [H, W, 3]; marked if a generator made it and it has a provenance."""
    picture = data_uri(fitted(image, PICTURE_SIDE), provenance)
    return (
        f'<figure class="ms-picture"><img src="{picture}" alt="{escape(name)}">'
        f"<figcaption><strong>{escape(name)}</strong></figcaption></figure>"
    )


def attribution(
    image: np.ndarray,
    found: Attribution,
    folds: int,
    provenance: Provenance | None,
    descriptions: Descriptions = UNDESCRIBED,
) -> str:
    """A map laid over its image, uint8 [H, W, 3], with legend and explanation."""
    picture = data_uri(fitted(overlay(image, found.map, found.signed), PICTURE_SIDE), provenance)
    lines = "".join(f"<p>{escape(line)}</p>" for line in explanation(found, folds))
    named = long_name(found.target, descriptions)
    key = text("map.key_signed" if found.signed else "map.key_unsigned")
    return (
        '<div class="ms-attribution"><figure class="ms-picture">'
        f'<img src="{picture}" alt="{escape(text("map.description", condition=found.target))}">'
        f'<img class="ms-legend" src="{data_uri(legend(signed=found.signed))}" alt="{key}">'
        f"</figure><div><h3>{escape(text('map.title', condition=named))}</h3>{lines}</div></div>"
    )


def message(sentence: str, kind: str = "note") -> str:
    """A paragraph in a box; kinds: note, warning, error (announced by screen readers), detail, empty."""
    role = ' role="alert"' if kind == "error" else ' role="status"'
    unbroken = _BEFORE_NUMBER.sub("\N{NO-BREAK SPACE}", sentence)
    return f'<p class="ms-message ms-{kind}"{role}>{escape(unbroken)}</p>'
