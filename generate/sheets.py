"""Sheets: grids of images, one named strip per condition."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import encode_synthetic_png, read_provenance
from morphoscope.configs.user_files import open_regular
from morphoscope.runtime import write_atomically

_GAP = 2
_SMALLEST_CELL = 128  # pixels; smaller images are enlarged to this size
_BACKGROUND = (255, 255, 255)
_INK = (20, 20, 20)


def draw_sheet(names: Sequence[str], strips: Sequence[np.ndarray], caption: str = "") -> Image.Image:
    """A grid of images: one strip of images from left to right per name, with the name on the left.

    Args:
        strips: uint8 [N, R, R, 3] RGB per name; R is the same in all, N may differ.
        caption: a line above the sheet, e.g. that it is synthetic.
    """
    size = max(strips[0].shape[1], _SMALLEST_CELL)
    columns = max(len(strip) for strip in strips)
    font_size = max(12, size // 8)
    font = ImageFont.load_default(size=font_size)
    margin = int(max(font.getlength(name) for name in names)) + 12
    head = int(font_size * 1.6) if caption else 0
    cell = size + _GAP
    width = max(margin + columns * cell, int(font.getlength(caption)) + 12)
    canvas = Image.new("RGB", (width, head + len(strips) * cell), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    if caption:
        draw.text((6, head // 2), caption, fill=_INK, font=font, anchor="lm")
    for y, (name, strip) in enumerate(zip(names, strips, strict=True)):
        top = head + y * cell
        draw.text((6, top + size // 2), name, fill=_INK, font=font, anchor="lm")
        for x, image in enumerate(strip):
            cell_image = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
            canvas.paste(cell_image, (margin + x * cell, top))
    return canvas


# What Pillow raises for damaged image files; a broken PNG is a SyntaxError.
UNREADABLE = (OSError, SyntaxError, ValueError)


def read_sheet(path: Path) -> tuple[Image.Image, Provenance | None]:
    """A sheet in RGB, and its provenance if it is marked as synthetic; one of `UNREADABLE` if damaged."""
    with open_regular(path) as file, Image.open(file, formats=("PNG",)) as image:
        return image.convert("RGB"), read_provenance(image)


def write_sheet(path: Path, names: Sequence[str], strips: Sequence[np.ndarray], caption: str = "") -> None:
    """Write a sheet of images that are not generated, as a PNG, atomically; arguments as in `draw_sheet`."""
    with write_atomically(path) as temporary:
        draw_sheet(names, strips, caption).save(temporary)


def write_synthetic_sheet(
    path: Path, names: Sequence[str], strips: Sequence[np.ndarray], provenance: Provenance
) -> None:
    """Write a sheet of generated images, marked in its caption and in its metadata, as a PNG, atomically."""
    with write_atomically(path) as temporary:
        sheet = draw_sheet(names, strips, provenance.sheet_caption)
        temporary.write_bytes(encode_synthetic_png(sheet, provenance))
