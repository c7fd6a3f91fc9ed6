"""Pictures beside each other in a figure that explains itself, laid out in pixels: heading, titles, notes."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from PIL import ImageFont

from morphoscope.classify.attribution.overlay import colour_strip, legend_ends
from morphoscope.cohort.marking import mark_strip
from morphoscope.runtime.reporting.lettering import wrapped

_DPI = 100
_HEADING, _TEXT = 22, 14  # pixels
_GAP, _STRIP = 16, 14
_NARROWEST = 480
_INK, _PALE_INK = "#141414", "#5a5a5a"


class Panel(NamedTuple):
    """A picture, uint8 [h, w, 3], and what stands above it."""

    title: str
    picture: np.ndarray


class Texts(NamedTuple):
    """A heading and the line below it, and sentences at the foot."""

    heading: str
    source: str
    foot: Sequence[str]


def draw_panels(
    panels: Sequence[Panel], columns: int, texts: Texts, signed: bool, mark: str | None = None
) -> Figure:
    """Draw panels row by row, with the legend of attribution maps below the last one.

    Args:
        panels: at least one; their pictures have one size. A pixel of them is one of the figure.
        columns: number of panels in a row.
        signed: see `overlay`.
        mark: how a synthetic image was made; the figure then carries the printed mark of synthesis.
    """
    height, width = panels[0].picture.shape[:2]
    page = _Page(max(_GAP + columns * (width + _GAP), _NARROWEST))
    room = page.width - 2 * _GAP
    top = page.write(_GAP, _GAP, _lines(texts.heading, _HEADING, room), _HEADING)
    top = page.write(_GAP, top, _lines(texts.source, _TEXT, room), ink=_PALE_INK) + _GAP // 2
    titles = [_lines(panel.title, _TEXT, width) for panel in panels]
    above = max(map(len, titles)) * _line_height(_TEXT)
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        x, y = _GAP + column * (width + _GAP), top + row * (above + height + _GAP)
        page.write(x, y, titles[number])
        page.paste(x, y + above, panel.picture)
    top = y + above + height + _GAP // 2
    page.paste(x, top, colour_strip(width, _STRIP, signed))
    low, high = legend_ends(signed)
    page.write(x, top + _STRIP, [low])
    top = page.write(x + width, top + _STRIP, [high], to_the="left") + _GAP // 2
    for note in texts.foot:
        top = page.write(_GAP, top, _lines(note, _TEXT, room), ink=_PALE_INK)
    top += _GAP
    if mark is not None:
        strip = mark_strip(page.width, mark)
        page.paste(0, top, strip)
        top += len(strip)
    return page.figure(top)


class _Page:
    """Texts and pictures at pixels from the top left, collected until the page's height is known."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._texts: list[tuple[int, int, dict[str, Any]]] = []
        self._pictures: list[tuple[int, int, np.ndarray]] = []

    def write(
        self,
        x: int,
        y: int,
        lines: Sequence[str],
        size: int = _TEXT,
        ink: str = _INK,
        to_the: str = "right",
    ) -> int:
        """Write lines from `x` to the right or left, from `y` downwards; returns where the next belongs."""
        align = "left" if to_the == "right" else "right"
        for line in lines:
            self._texts.append(
                (x, y + size, {"s": line, "size": size * 72 / _DPI, "color": ink, "ha": align})
            )
            y += _line_height(size)
        return y

    def paste(self, x: int, y: int, picture: np.ndarray) -> None:
        """Show a picture at its own size."""
        self._pictures.append((x, y, picture))

    def figure(self, height: int) -> Figure:
        """The page."""
        figure = Figure(figsize=(self.width / _DPI, height / _DPI), dpi=_DPI)
        for x, y, text in self._texts:  # y: of the baseline; names are no formulas
            figure.text(x / self.width, 1 - y / height, va="baseline", parse_math=False, **text)
        for x, y, picture in self._pictures:
            down, across = picture.shape[:2]
            place = (x / self.width, 1 - (y + down) / height, across / self.width, down / height)
            axes = figure.add_axes(place)
            axes.set_axis_off()
            axes.imshow(picture, aspect="auto", interpolation="none")
        return figure


def _lines(text: str, size: int, room: int) -> list[str]:
    return wrapped(text, _font(size), room)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's font, for measuring."""
    return ImageFont.truetype(findfont("DejaVu Sans"), size)


def _line_height(size: int) -> int:
    return round(1.4 * size)
