"""Sheets: grids of images, a named strip of images per condition, as near to 4:3 as possible."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import encode_synthetic_png, read_provenance
from morphoscope.configs.user_files import open_regular
from morphoscope.generate.layout import ASPECT, Grid, nearest_grid
from morphoscope.runtime import write_atomically
from morphoscope.runtime.reporting.lettering import font_of, wrapped

_GAP = 2
_PADDING = 6
_SMALLEST_CELL, _LARGEST_ENLARGED = 128, 384  # pixels that small images are enlarged to …
_ENLARGED_AREA = 640 * 480  # … so that all of a sheet's images together cover this
_BACKGROUND = (255, 255, 255)
_INK, _PALE_INK = (20, 20, 20), (90, 90, 90)


class Strip(NamedTuple):
    """The images (none, or more) of one condition, or the frames of a morph.

    Attributes:
        name: beside the images.
        images: uint8 [N, R, R, 3] RGB.
        full_name: below the name in smaller letters; "" for none.
        captions: one below each image; none if empty.
    """

    name: str
    images: np.ndarray
    full_name: str = ""
    captions: Sequence[str] = ()


def draw_sheet(
    strips: Sequence[Strip], caption: str = "", one_row: bool = False, aspect: float = ASPECT
) -> Image.Image:
    """Draw strips of images, each with its name on the left, in rows such that the sheet is near to 4:3.

    Each strip is in a row of its own if the sheet's width is then 0.8 to 2.3 times its height. Else strips
    continue in further rows, or are side by side, whichever is nearest to 4:3 with few blank places. Sheets
    with the same names, captions and numbers of images are always arranged alike.

    Args:
        strips: R is the same in all, the number of images may differ.
        caption: above the images, e.g. that they are synthetic.
        one_row: keep each strip in a row of its own, whatever the shape of the sheet.
        aspect: width by height to be near to, if not 4:3.
    """
    return _Sheet(strips, caption).draw(one_row, aspect)


class _Sheet:
    """Sizes (in pixels) and fonts of a sheet."""

    def __init__(self, strips: Sequence[Strip], caption: str) -> None:
        self.strips, self.caption = strips, caption
        self.counts = [len(strip.images) for strip in strips]
        resolution = max(strips[0].images.shape[1], _SMALLEST_CELL)
        enlarged = min(_LARGEST_ENLARGED, math.isqrt(_ENLARGED_AREA // sum(self.counts)))
        self.image = max(resolution, enlarged)
        self.font = font_of(max(12, resolution // 8))
        self.small = font_of(max(10, round(0.75 * self.font.size)))

    @cached_property
    def margin(self) -> int:
        """Room for the names on the left, at most as wide as two images."""
        names = max(self.font.getlength(strip.name) for strip in self.strips)
        full = max(self.small.getlength(strip.full_name) for strip in self.strips)
        return math.ceil(min(max(names, min(full, self.image)), 2 * self.image)) + 2 * _PADDING

    @cached_property
    def cell_height(self) -> int:
        """An image, the captions below it and the gap."""
        captions = (caption for strip in self.strips for caption in strip.captions)
        lines = max((len(self.below(caption)) for caption in captions), default=0)
        return self.image + lines * _line(self.small) + (_PADDING if lines else 0) + _GAP

    @property
    def cell_width(self) -> int:
        return self.image + _GAP

    def below(self, caption: str) -> list[str]:
        """The lines of the caption of an image."""
        return wrapped(caption, self.small, self.image, lines=4)

    def size(self, grid: Grid) -> tuple[int, int]:
        """Width and height of the sheet."""
        width = self.strip_width(grid) * grid.across
        head = len(self.head(width)) * _line(self.font)
        return width, head + sum(grid.rows(self.counts)) * self.cell_height

    def strip_width(self, grid: Grid) -> int:
        return self.margin + grid.columns * self.cell_width

    def head(self, width: int) -> list[str]:
        """The lines of the caption of the sheet."""
        return wrapped(self.caption, self.font, width - 2 * _PADDING) if self.caption else []

    def draw(self, one_row: bool, aspect: float) -> Image.Image:
        grid = Grid(1, max(self.counts)) if one_row else nearest_grid(self.counts, self.size, aspect)
        canvas = Image.new("RGB", self.size(grid), _BACKGROUND)
        pen = ImageDraw.Draw(canvas)
        head, line = self.head(canvas.width), _line(self.font)
        for index, text in enumerate(head):
            pen.text((_PADDING, index * line + line // 2), text, fill=_INK, font=self.font, anchor="lm")
        top = len(head) * line
        for index, rows in enumerate(grid.rows(self.counts)):
            row = self.strips[index * grid.across : (index + 1) * grid.across]
            for position, strip in enumerate(row):
                self._draw_strip(canvas, position * self.strip_width(grid), top, strip, grid.columns)
            top += rows * self.cell_height
        return canvas

    def _draw_strip(self, canvas: Image.Image, left: int, top: int, strip: Strip, columns: int) -> None:
        pen = ImageDraw.Draw(canvas)
        self._draw_name(pen, left + _PADDING, top, strip)
        for index, image in enumerate(strip.images):
            row, column = divmod(index, columns)
            x, y = left + self.margin + column * self.cell_width, top + row * self.cell_height
            picture = Image.fromarray(image)
            canvas.paste(picture.resize((self.image, self.image), Image.Resampling.BICUBIC), (x, y))
            for line, text in enumerate(self.below(strip.captions[index]) if strip.captions else []):
                under = (x + self.image // 2, y + self.image + _GAP + line * _line(self.small))
                pen.text(under, text, fill=_INK, font=self.small, anchor="ma")

    def _draw_name(self, pen: ImageDraw.ImageDraw, left: int, top: int, strip: Strip) -> None:
        """The name in the middle of the strip's first row, below it the full name."""
        width, room = self.margin - 2 * _PADDING, self.image
        names = wrapped(strip.name, self.font, width, lines=max(1, room // _line(self.font)))
        room -= len(names) * _line(self.font)
        lines = [(text, self.font, _INK) for text in names]
        if strip.full_name and room >= _line(self.small):
            full = wrapped(strip.full_name, self.small, width, lines=room // _line(self.small))
            lines += [(text, self.small, _PALE_INK) for text in full]
        y = top + (self.image - sum(_line(font) for _, font, _ in lines)) // 2
        for text, font, ink in lines:
            pen.text((left, y + _line(font) // 2), text, fill=ink, font=font, anchor="lm")
            y += _line(font)


def _line(font: ImageFont.FreeTypeFont) -> int:
    return round(1.35 * font.size)


# What Pillow raises for damaged image files; a broken PNG is a SyntaxError.
UNREADABLE = (OSError, SyntaxError, ValueError)


def read_sheet(path: Path) -> tuple[Image.Image, Provenance | None]:
    """A sheet in RGB, and its provenance if it is marked as synthetic; one of `UNREADABLE` if damaged."""
    with open_regular(path) as file, Image.open(file, formats=("PNG",)) as image:
        return image.convert("RGB"), read_provenance(image)


def write_sheet(path: Path, strips: Sequence[Strip], caption: str = "") -> None:
    """Write a sheet of images that are not generated, as a PNG, atomically; arguments as in `draw_sheet`."""
    with write_atomically(path) as temporary:
        draw_sheet(strips, caption).save(temporary)


def write_synthetic_sheet(
    path: Path, strips: Sequence[Strip], provenance: Provenance, one_row: bool = False
) -> None:
    """Write a sheet of generated images, marked in its caption and in its metadata, as a PNG, atomically."""
    with write_atomically(path) as temporary:
        sheet = draw_sheet(strips, provenance.sheet_caption, one_row)
        temporary.write_bytes(encode_synthetic_png(sheet, provenance))
