"""Teaching material as pages: a sheet with its title and the mark of synthesis, on paper or a slide."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from morphoscope.cohort import Provenance
from morphoscope.cohort.marking import mark_strip
from morphoscope.runtime.reporting.lettering import font_of, wrapped

_INK, _PALE_INK, _PAPER = (20, 20, 20), (90, 90, 90), (255, 255, 255)
_ROOM = 0.75  # of a page's height, for a sheet
_QUALITY = 92  # of JPEG images in a PDF


class Layout(NamedTuple):
    """A page's size in pixels, and pixels per inch where it is printed."""

    width: int
    height: int
    resolution: int

    @property
    def aspect(self) -> float:
        """Width by height of the room for a sheet, between title and mark."""
        return self.width / (_ROOM * self.height)


PAPER = Layout(1754, 1240, 150)
"""A4 across."""
SLIDE = Layout(1920, 1080, 144)
"""16:9, as slides are."""


def draw_page(
    sheet: Image.Image, layout: Layout, title: str, note: str, provenance: Provenance
) -> Image.Image:
    """A page with a sheet as large as it fits, the title above, a note below it, and the mark at the foot.

    Args:
        title, note: "" for none.
        provenance: of the images, whose summary stands in the mark.
    """
    page = Image.new("RGB", (layout.width, layout.height), _PAPER)
    margin = layout.width // 36
    room = layout.width - 2 * margin
    top = _write(page, title, margin, room, layout.width // 40, _INK)
    mark = Image.fromarray(_mark(layout, provenance))
    page.paste(mark, (0, layout.height - mark.height))
    foot = layout.height - mark.height - margin // 2
    size = layout.width // 80
    lines = wrapped(note, font_of(size), room, lines=3) if note else []
    foot -= round(1.4 * size) * len(lines)
    _write(page, note, foot, room, size, _PALE_INK)
    scale = min(room / sheet.width, (foot - margin // 2 - top) / sheet.height)
    fitted = sheet.resize((round(scale * sheet.width), round(scale * sheet.height)), Image.Resampling.LANCZOS)
    page.paste(
        fitted, ((layout.width - fitted.width) // 2, top + (foot - margin // 2 - top - fitted.height) // 2)
    )
    return page


def encode_pdf(pages: Sequence[Image.Image], layout: Layout, title: str, provenance: Provenance) -> bytes:
    """The pages as a PDF, whose document information says that the images are synthetic."""
    buffer = io.BytesIO()
    pages[0].save(
        buffer,
        "PDF",
        save_all=True,
        append_images=pages[1:],
        resolution=layout.resolution,
        quality=_QUALITY,
        title=title,
        subject=f"Synthetic? {provenance.statement}",
        keywords=provenance.record,
        creator="Morphoscope",
    )
    return buffer.getvalue()


def _write(page: Image.Image, text: str, top: int, room: int, size: int, ink: tuple[int, int, int]) -> int:
    """Write lines from `top` down, in the middle; returns where they end."""
    font, pen = font_of(size), ImageDraw.Draw(page)
    for line in wrapped(text, font, room, lines=3) if text else []:
        pen.text((page.width // 2, top), line, fill=ink, font=font, anchor="ma")
        top += round(1.4 * size)
    return top


def _mark(layout: Layout, provenance: Provenance) -> np.ndarray:
    """The printed mark, as wide as the page, in letters of a size that fits a third of it."""
    strip = mark_strip(layout.width // 3, provenance.summary)
    right = np.broadcast_to(strip[:1, :1], (len(strip), layout.width - strip.shape[1], 3))
    return np.concatenate([strip, right], axis=1)
