"""Sheets of images by condition, each row named."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import encode_synthetic_png, read_provenance
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


def read_sheet(path: Path) -> tuple[Image.Image, Provenance | None]:
    """A sheet in RGB, and its provenance if it is marked as synthetic; raises one of `UNREADABLE`."""
    with Image.open(path) as image:
        return image.convert("RGB"), read_provenance(image)


def write_sheet(path: Path, names: Sequence[str], rows: Sequence[np.ndarray], caption: str = "") -> None:
    """Write `sheet` of images that no generator made as a PNG, atomically."""
    with write_atomically(path) as temporary:
        sheet(names, rows, caption).save(temporary)


def write_synthetic_sheet(
    path: Path, names: Sequence[str], rows: Sequence[np.ndarray], provenance: Provenance
) -> None:
    """Write `sheet` of generated images, marked above them and in the metadata, atomically."""
    with write_atomically(path) as temporary:
        whole = sheet(names, rows, provenance.sheet_caption)
        temporary.write_bytes(encode_synthetic_png(whole, provenance))
