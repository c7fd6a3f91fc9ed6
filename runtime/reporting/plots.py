"""The style of all charts: colours, names as labels, and SVG as text."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from morphoscope.runtime.files import write_atomically

# Okabe and Ito's palette for colour-blind readers, without its yellow, which is too pale on white.
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#404040")

VECTOR = (".svg", ".pdf")
"""Suffixes of the formats whose lines and letters stay sharp at any size."""

# By format: the metadata's key for a description, and what leaves the date out.
_METADATA: dict[str, tuple[str, dict[str, str | None]]] = {
    ".png": ("Description", {}),
    ".svg": ("Description", {"Date": None}),
    ".pdf": ("Subject", {"CreationDate": None}),
}


def colour(index: int) -> str:
    """The colour of condition `index` in all charts, as #rrggbb."""
    if index < len(_PALETTE):
        return _PALETTE[index]
    return matplotlib.colors.to_hex(matplotlib.colormaps["tab20"](index % 20))


def plain(name: str) -> str:
    """A name as a label: Matplotlib parses $ as mathematics, and omits legend entries that start with _."""
    return name.replace("$", r"\$").lstrip("_")


def save(
    figure: Figure,
    path: Path,
    suffixes: Sequence[str] = (".png", *VECTOR),
    *,
    whole: bool = False,
    description: str = "",
) -> None:
    """Write a figure to `path` with each of the suffixes; each file atomically.

    The same figure gives the same files.

    Args:
        whole: with its margins as they are; otherwise it is cropped to what is drawn.
        description: for the files' metadata.

    Raises:
        UserError: a file cannot be written.
    """
    with _drawing():
        frame = None if whole else _drawn_part(figure)
        for suffix in suffixes:
            key, metadata = _METADATA[suffix]
            if description:
                metadata = {**metadata, key: description}
            with write_atomically(path.with_suffix(suffix)) as temporary:
                figure.savefig(temporary, bbox_inches=frame, metadata=metadata)


@contextmanager
def _drawing() -> Iterator[None]:
    """For reproducible SVG, whose ids are otherwise random; a letter that the font lacks becomes a box."""
    with matplotlib.rc_context({"svg.hashsalt": "morphoscope"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def _drawn_part(figure: Figure) -> Bbox:
    """Lay a figure out, once for all formats; the part that is drawn on, with a narrow margin, in inches."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure.get_tightbbox().padded(matplotlib.rcParams["savefig.pad_inches"])


def pixels(figure: Figure) -> np.ndarray:
    """A figure at its own resolution, uint8 [h, w, 3]."""
    canvas = FigureCanvasAgg(figure)
    with _drawing():
        canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def svg(figure: Figure) -> str:
    """A figure as the text of an <svg> element; the same figure gives the same text."""
    text = StringIO()
    with _drawing():
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    whole = text.getvalue()
    return whole[whole.index("<svg") :]
