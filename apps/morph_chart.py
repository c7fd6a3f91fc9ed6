"""The chart of a morph: the probability of each condition along it, as SVG."""

from collections.abc import Sequence
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from morphoscope.apps.morphing import Curve, Morph
from morphoscope.runtime.reporting.plots import colour, plain, svg

_POINTS_PER_INCH = 72  # a point is the unit of the SVG's own coordinates
_WIDTH, _HEIGHT = 6.2, 2.75  # inches, with one row of names below
_ROW = 0.2  # inches of height that each further row of names takes
_MOST_COLUMNS = 7
_GREY, _GRID, _AXIS, _PAPER = "#5b6b73", "#e3e8ea", "#c3ccd0", "#ffffff"


def draw_curve(curve: Curve) -> str:
    """One line per condition over the way from one end to the other, as the text of an <svg> element.

    The conditions that are most probable at the two ends are drawn strong, with the range of the single
    models as a band.
    """
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_POINTS_PER_INCH, layout="constrained", facecolor=_PAPER)
    axes = figure.subplots()
    prediction = curve.prediction
    ends = prediction.predicted[[0, -1]]
    lines = []
    for index in range(len(prediction.conditions)):
        strong = index in ends
        if strong and len(prediction.per_fold) > 1:
            folds = prediction.per_fold[:, :, index]
            axes.fill_between(curve.ratios, folds.min(0), folds.max(0), color=colour(index), alpha=0.13, lw=0)
        (line,) = axes.plot(
            curve.ratios,
            prediction.combined[:, index],
            color=colour(index),
            lw=2.6 if strong else 1.2,
            alpha=1.0 if strong else 0.75,
            zorder=3 if strong else 2,
        )
        lines.append(line)
    _shade_unsure(axes, curve)
    _dress(axes, curve.morph)
    _name(figure, lines, [plain(name) for name in prediction.conditions])
    return svg(figure)


def _name(figure: Figure, lines: Sequence[Line2D], names: Sequence[str]) -> None:
    """A legend below the axes, in the most columns that fit the width; the figure grows with its rows."""
    for columns in range(min(len(names), _MOST_COLUMNS), 0, -1):
        legend = figure.legend(
            lines,
            names,
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            fontsize=9,
            labelcolor=_GREY,
        )
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + _ROW * (ceil(len(names) / columns) - 1))


def _shade_unsure(axes: Axes, curve: Curve) -> None:
    """Grey where no model gives any condition more than 50%."""
    unsure = curve.prediction.unsure
    if not unsure.any():
        return
    axes.fill_between(
        curve.ratios, 0, 1, where=unsure.tolist(), step="mid", color="#8a9499", alpha=0.16, lw=0, zorder=1
    )
    above = 1.02  # no curve runs there
    axes.text(1, above, "grey: unsure", ha="right", va="bottom", fontsize=9, color=_GREY)


def _dress(axes: Axes, morph: Morph) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="%"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="%"))
    a, b = map(plain, morph.titles)
    axes.set_xlabel(f"from {a} to {b}", color=_GREY, fontsize=9.5)
    axes.set_ylabel("probability", color=_GREY, fontsize=9.5)
    axes.tick_params(colors=_GREY, labelsize=9, length=3)
    axes.grid(color=_GRID, lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_AXIS)
