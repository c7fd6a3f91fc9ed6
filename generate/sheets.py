"""Sheets of images by condition, each row named."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from morphoscope.runtime import write_atomically

_GAP = 2
_SMALLEST_CELL = 128  # pixels; smaller images are enlarged to it for the eye
_BACKGROUND = (255, 255, 255)
_INK = (20, 20, 20)


def sheet(names: Sequence[str], rows: Sequence[np.ndarray], caption: str = "") -> Image.Image:
    """One row a name: its images uint8 [N, R, R, 3] from left to right, the name before them.

    Args:
        caption: a line above the sheet, e.g. what is synthetic about it.
    """
    size = max(rows[0].shape[1], _SMALLEST_CELL)
    columns = max(len(row) for row in rows)
    font_size = max(12, size // 8)
    font = ImageFont.load_default(size=font_size)
    margin = int(max(font.getlength(name) for name in names)) + 12
    head = int(font_size * 1.6) if caption else 0
    cell = size + _GAP
    width = max(margin + columns * cell, int(font.getlength(caption)) + 12)
    canvas = Image.new("RGB", (width, head + len(rows) * cell), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    if caption:
        draw.text((6, head // 2), caption, fill=_INK, font=font, anchor="lm")
    for y, (name, row) in enumerate(zip(names, rows, strict=True)):
        top = head + y * cell
        draw.text((6, top + size // 2), name, fill=_INK, font=font, anchor="lm")
        for x, image in enumerate(row):
            cell_image = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
            canvas.paste(cell_image, (margin + x * cell, top))
    return canvas


# What reading a picture raises when it is damaged; Pillow calls a broken PNG a syntax error.
UNREADABLE = (OSError, SyntaxError, ValueError)


def read_sheet(path: Path) -> tuple[Image.Image, str]:
    """A sheet in RGB, and what its file says of being synthetic ("": nothing); raises one of `UNREADABLE`."""
    with Image.open(path) as image:
        image.load()  # text after the pixels, too
        return image.convert("RGB"), str(image.info.get("Synthetic", ""))


def write_sheet(
    path: Path,
    names: Sequence[str],
    rows: Sequence[np.ndarray],
    caption: str = "",
    marks: PngInfo | None = None,
) -> None:
    """Write `sheet` as a PNG, with `marks` as its text metadata, atomically."""
    with write_atomically(path) as temporary:
        sheet(names, rows, caption).save(temporary, pnginfo=marks)
