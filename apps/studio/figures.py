"""Figures of the page as HTML: probability curve, bars, pictures, attribution overlays.

Names of conditions and files come from other people's files: everything put into HTML is escaped.
"""

from dataclasses import dataclass
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from morphoscope.apps.morphing import Curve, Morph
from morphoscope.apps.studio.marks import data_uri, fitted, marked
from morphoscope.apps.studio.words import explanation, percent, spread
from morphoscope.classify import Attribution, Prediction, legend, overlay
from morphoscope.runtime.reporting.plots import colour, plain, svg

PICTURE_SIDE = 512  # pixels; generated frames are enlarged to it
_SIZE = (6.2, 2.75)  # inches of 72 points, the unit of the SVG's own coordinates
_GREY = "#5b6b73"
_MARKER = "#0f3d44"


@dataclass(frozen=True)
class CurveDrawing:
    """The curve as SVG, and where its x axis runs, so that the marker can move without a new drawing."""

    svg: str
    left: float
    right: float
    top: float
    bottom: float

    def at(self, share: float, description: str) -> str:
        """HTML of the curve with a vertical line at `share`; `description` is for screen readers."""
        x = self.left + share * (self.right - self.left)
        marker = (
            f'<g id="curve-marker" data-share="{share:.4f}">'
            f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{self.top:.2f}" y2="{self.bottom:.2f}" '
            f'stroke="{_MARKER}" stroke-width="1.6"/>'
            f'<circle cx="{x:.2f}" cy="{self.top:.2f}" r="3.6" fill="{_MARKER}"/></g>'
        )
        picture = self.svg.replace("</svg>", marker + "</svg>")
        return f'<div class="ms-curve" role="img" aria-label="{escape(description)}">{picture}</div>'


def draw_curve(curve: Curve, morph: Morph) -> CurveDrawing:
    """A line a condition over the share of `morph.b`; the ends' are strong, with the models' range."""
    figure = Figure(figsize=_SIZE, dpi=72, layout="constrained", facecolor="white")
    axes = figure.subplots()
    prediction = curve.prediction
    lines = []
    for index, name in enumerate(prediction.conditions):
        strong = name in (morph.a, morph.b)
        if strong and len(prediction.per_fold) > 1:
            folds = prediction.per_fold[:, :, index]
            axes.fill_between(curve.shares, folds.min(0), folds.max(0), color=colour(index), alpha=0.13, lw=0)
        (line,) = axes.plot(
            curve.shares,
            prediction.combined[:, index],
            color=colour(index),
            lw=2.6 if strong else 1.2,
            alpha=1.0 if strong else 0.75,
            zorder=3 if strong else 2,
        )
        lines.append(line)
    _shade_unsure(axes, curve)
    _dress(axes, morph)
    names = [plain(name) for name in prediction.conditions]
    figure.legend(
        lines, names, loc="outside lower center", ncols=min(len(names), 7), frameon=False, fontsize=9
    )
    picture = svg(figure)  # lays the axes out
    box = axes.get_position()
    width, height = 72 * _SIZE[0], 72 * _SIZE[1]
    return CurveDrawing(
        picture,
        left=box.x0 * width,
        right=box.x1 * width,
        top=(1 - box.y1) * height,
        bottom=(1 - box.y0) * height,
    )


def bars(prediction: Prediction, by_probability: bool = False) -> str:
    """Table of the first image's probabilities: a bar each, and the range of the single models as a line.

    Args:
        by_probability: most probable condition first; else the classifier's own order, which does not jump
            while a slider moves.
    """
    combined = prediction.combined[0]
    folds = prediction.per_fold[:, 0]
    order = np.argsort(-combined, kind="stable") if by_probability else np.arange(len(combined))
    best = int(prediction.predicted[0])
    rows = []
    for index in order.tolist():
        low, high = float(folds[:, index].min()), float(folds[:, index].max())
        first = ' class="ms-first"' if index == best and not prediction.unsure[0] else ""
        rows.append(
            f'<tr{first}><th scope="row">{escape(prediction.conditions[index])}</th>'
            f'<td class="ms-track"><div><span class="ms-bar" style="width:{100 * combined[index]:.1f}%;'
            f'background:{colour(index)}"></span><span class="ms-range" style="left:{100 * low:.1f}%;'
            f'width:{100 * (high - low):.1f}%"></span></div></td>'
            f'<td class="ms-number">{escape(percent(float(combined[index])))}</td>'
            f'<td class="ms-number ms-spread">{escape(spread(low, high))}</td></tr>'
        )
    return (
        '<table class="ms-bars"><thead><tr><th scope="col">Condition</th><td></td>'
        '<th scope="col" class="ms-number">Ensemble</th>'
        '<th scope="col" class="ms-number ms-spread">Single models</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def frame(image: np.ndarray, morph: Morph, share: float, generator: str) -> str:
    """A generated picture, enlarged and marked, with its caption and a link that saves it."""
    origin = provenance(morph, share, generator)
    picture = data_uri(marked(fitted(image, PICTURE_SIDE), origin), origin)
    mixture = escape(morph.mixture(share))
    name = f"synthetic-seed{morph.seed}-share{round(100 * share):03d}.png"
    return (
        f'<figure class="ms-picture"><img src="{picture}" alt="Synthetic picture: {mixture}">'
        f'<figcaption><strong>{mixture}</strong><a href="{picture}" download="{name}">Save picture</a>'
        "</figcaption></figure>"
    )


def provenance(morph: Morph, share: float, generator: str) -> str:
    """The line that a synthetic picture carries: mixture, seed, truncation, generator's digest."""
    return f"{morph.mixture(share)} · seed {morph.seed} · psi {morph.psi:g} · generator {generator}"


def photograph(image: np.ndarray, name: str, synthetic: str | None) -> str:
    """A picture to be judged: uint8 [H, W, 3]; `synthetic` is its provenance if a generator made it."""
    large = fitted(image, PICTURE_SIDE)
    shown = large if synthetic is None else marked(large, synthetic)
    return (
        f'<figure class="ms-picture"><img src="{data_uri(shown, synthetic)}" alt="{escape(name)}">'
        f"<figcaption><strong>{escape(name)}</strong></figcaption></figure>"
    )


def attribution(image: np.ndarray, found: Attribution, folds: int, synthetic: str | None) -> str:
    """A map laid over its picture, with legend and explanation."""
    laid = fitted(overlay(image, found.map, found.signed), PICTURE_SIDE)
    shown = laid if synthetic is None else marked(laid, synthetic)
    lines = "".join(f"<p>{escape(line)}</p>" for line in explanation(found, folds))
    target = escape(found.target)
    key = "Blue speaks against, red speaks for" if found.signed else "Violet matters little, yellow much"
    return (
        '<div class="ms-attribution"><figure class="ms-picture">'
        f'<img src="{data_uri(shown, synthetic)}" alt="Attribution map for {target} over the grey picture">'
        f'<img class="ms-legend" src="{data_uri(legend(signed=found.signed))}" alt="{key}">'
        f"</figure><div><h3>Evidence for {target}</h3>{lines}</div></div>"
    )


def message(text: str, kind: str = "note") -> str:
    """A paragraph in a box; kinds: note, warning, error (announced by screen readers), empty."""
    role = ' role="alert"' if kind == "error" else ' role="status"'
    return f'<p class="ms-message ms-{kind}"{role}>{escape(text)}</p>'


def _shade_unsure(axes: Axes, curve: Curve) -> None:
    """Grey where no model gives any condition more than 50 %."""
    unsure = curve.prediction.unsure
    if not unsure.any():
        return
    axes.fill_between(
        curve.shares, 0, 1, where=unsure.tolist(), step="mid", color="#8a9499", alpha=0.16, lw=0, zorder=1
    )
    above = 1.02  # no curve runs there
    axes.text(1, above, "grey: unsure", ha="right", va="bottom", fontsize=9, color=_GREY)


def _dress(axes: Axes, morph: Morph) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel(f"share of {plain(morph.b)} (the rest is {plain(morph.a)})", color=_GREY, fontsize=9.5)
    axes.set_ylabel("probability", color=_GREY, fontsize=9.5)
    axes.tick_params(colors=_GREY, labelsize=9, length=3)
    axes.grid(color="#e3e8ea", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c3ccd0")
