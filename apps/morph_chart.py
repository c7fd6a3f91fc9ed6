"""The chart of a morph: the probability of each condition along it, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from morphoscope.apps.morphing import Curve, Morph
from morphoscope.runtime.reporting.plots import colour, plain, svg

_POINTS_PER_INCH = 72  # a point is the unit of the SVG's own coordinates
_WIDTH, _HEIGHT = 6.2, 2.75  # inches, with one row of names below
_NARROW = (4.2, 3.0)
_ROW = 0.2  # inches of height that each further row of names takes
_MOST_COLUMNS = 7
_GREY = "#5b6b73"
_MARKER = "#0f3d44"
_GRID, _AXIS, _PAPER = "#e3e8ea", "#c3ccd0", "#ffffff"
# Variables of a page in which the chart stands; without them it is drawn on white.
_THEMED = {_GREY: "ink", _GRID: "grid", _AXIS: "axis", _PAPER: "paper"}


@dataclass(frozen=True)
class MorphChart:
    """The curve as SVG, and where its axes lie in points, so that the marker can move without a redraw."""

    svg: str
    left: float
    right: float
    top: float
    bottom: float

    def with_marker(self, share: float) -> str:
        """The SVG with a vertical line at `share`, from 0 to 1."""
        x = self.left + share * (self.right - self.left)
        colour_of_marker = f"var(--chart-marker, {_MARKER})"
        marker = (
            f'<g class="curve-marker" data-share="{share:.4f}" data-left="{self.left:.2f}" '
            f'data-right="{self.right:.2f}">'
            f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{self.top:.2f}" y2="{self.bottom:.2f}" '
            f'style="stroke: {colour_of_marker}" stroke-width="1.6"/>'
            f'<circle cx="{x:.2f}" cy="{self.top:.2f}" r="3.6" style="fill: {colour_of_marker}"/></g>'
        )
        return self.svg.replace("</svg>", marker + "</svg>")


def draw_curve(curve: Curve, *, narrow: bool = False) -> MorphChart:
    """One line per condition over the share of the second one.

    The morph's two conditions are drawn strong, with the range of the single models as a band. Where a page
    defines them, the variables --chart-paper, -ink, -axis, -grid and -marker give its colours.

    Args:
        narrow: as wide as a telephone's page, so that its labels need not shrink there.
    """
    size = _NARROW if narrow else (_WIDTH, _HEIGHT)
    figure = Figure(figsize=size, dpi=_POINTS_PER_INCH, layout="constrained", facecolor=_PAPER)
    axes = figure.subplots()
    prediction = curve.prediction
    lines = []
    for index, name in enumerate(prediction.conditions):
        strong = name in (curve.morph.a, curve.morph.b)
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
    _dress(axes, curve.morph)
    _name(figure, lines, [plain(name) for name in prediction.conditions])
    drawing = _themed(svg(figure))  # lays the axes out
    box = axes.get_position()
    width, height = _POINTS_PER_INCH * figure.get_size_inches()
    return MorphChart(
        drawing,
        left=box.x0 * width,
        right=box.x1 * width,
        top=(1 - box.y1) * height,
        bottom=(1 - box.y0) * height,
    )


def _themed(drawing: str) -> str:
    """The SVG with a page's variables for its colours."""
    for plain_colour, name in _THEMED.items():
        drawing = drawing.replace(f": {plain_colour}", f": var(--chart-{name}, {plain_colour})")
    return drawing


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
        curve.shares, 0, 1, where=unsure.tolist(), step="mid", color="#8a9499", alpha=0.16, lw=0, zorder=1
    )
    above = 1.02  # no curve runs there
    axes.text(1, above, "grey: unsure", ha="right", va="bottom", fontsize=9, color=_GREY)


def _dress(axes: Axes, morph: Morph) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="%"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="%"))
    axes.set_xlabel(f"share of {plain(morph.b)} (the rest is {plain(morph.a)})", color=_GREY, fontsize=9.5)
    axes.set_ylabel("probability", color=_GREY, fontsize=9.5)
    axes.tick_params(colors=_GREY, labelsize=9, length=3)
    axes.grid(color=_GRID, lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_AXIS)
