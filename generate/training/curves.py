"""Curves of a training over thousands of real images shown (kimg), as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from morphoscope.generate.training.records import Tick
from morphoscope.runtime.reporting.plots import colour, plain, svg

_SIZE = (6.4, 3.1)  # inches
_MOST_POINTS = 400  # of one curve; more are averaged, which is not visible and keeps the file small
_GREY = "#5b6473"


@dataclass(frozen=True)
class Curve:
    """One curve of a chart.

    Attributes:
        x, y: kimg and values, float64 [N].
        colour: index into the palette; None draws a thick black curve, e.g. for all conditions together.
        sd: standard deviation of the values, [N], drawn as a band around the curve.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int | None
    sd: np.ndarray | None = None


def curve_of(ticks: Sequence[Tick], value: str, name: str, colour: int) -> Curve:
    """The curve called `name` of one of the values of ticks, from those that have it."""
    found = [(tick.kimg, tick.values[value]) for tick in ticks if value in tick.values]
    x, y = _thinned(np.array(found, np.float64).reshape(-1, 2))
    return Curve(name, x, y, colour)


def draw_curves(
    curves: Sequence[Curve],
    label: str,
    line: tuple[float, str] | None = None,
    span: tuple[float, float] | None = None,
) -> str:
    """Draw curves over kimg in one chart: the text of an <svg> element.

    Args:
        label: of the y axis.
        line: a value and its name, drawn as a dashed horizontal line.
        span: lowest and highest value that the y axis must include.
    """
    shown = [curve for curve in curves if len(curve.x)]
    legend_lines = -(-(len(shown) + (line is not None)) // 5)
    height = _SIZE[1] + 0.2 * legend_lines
    figure = Figure(figsize=(_SIZE[0], height), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for one in shown:
        shade = "#111111" if one.colour is None else colour(one.colour)
        marker = "o" if len(one.x) < 30 else None  # so that single snapshots are visible
        axes.plot(
            one.x,
            one.y,
            color=shade,
            lw=2.4 if one.colour is None else 1.5,
            marker=marker,
            ms=3.5,
            label=plain(one.name),
            zorder=3 if one.colour is None else 2,
        )
        if one.sd is not None:
            axes.fill_between(one.x, one.y - one.sd, one.y + one.sd, color=shade, alpha=0.12, lw=0)
    if line is not None:
        axes.axhline(line[0], color="#b3261e", lw=1.2, ls="--", label=plain(line[1]))
    if span is not None:
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, span[0]), max(high, span[1]))
    axes.set_xlabel("kimg", color=_GREY, fontsize=9.5)
    axes.set_ylabel(plain(label), color=_GREY, fontsize=9.5)
    axes.tick_params(colors=_GREY, labelsize=9, length=3)
    axes.grid(color="#e3e8ea", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c3ccd0")
    if shown or line is not None:
        figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=8.5)
    return svg(figure)


def _thinned(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y of points [N, 2], averaged over neighbours so that at most `_MOST_POINTS` are left."""
    if len(points) > _MOST_POINTS:
        points = np.stack([part.mean(axis=0) for part in np.array_split(points, _MOST_POINTS)])
    return points[:, 0], points[:, 1]
