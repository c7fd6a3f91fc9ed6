"""The style of all charts: colours, names as labels, and SVG as text."""

from io import StringIO
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from morphoscope.runtime.files import write_atomically

# Okabe and Ito's palette for colour-blind readers, without its yellow, which is too pale on white.
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#404040")


def colour(index: int) -> str:
    """The colour of condition `index` in all charts, as #rrggbb."""
    if index < len(_PALETTE):
        return _PALETTE[index]
    return matplotlib.colors.to_hex(matplotlib.colormaps["tab20"](index % 20))


def plain(name: str) -> str:
    """A name as a label: Matplotlib parses $ as mathematics, and omits legend entries that start with _."""
    return name.replace("$", r"\$").lstrip("_")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG to `path` and, beside it, as SVG and PDF; each file atomically.

    The same figure gives the same files.

    Raises:
        UserError: a file cannot be written.
    """
    with matplotlib.rc_context({"svg.hashsalt": "morphoscope"}):  # otherwise ids are random
        for suffix, undated in ((".png", {}), (".svg", {"Date": None}), (".pdf", {"CreationDate": None})):
            with write_atomically(path.with_suffix(suffix)) as temporary:
                figure.savefig(temporary, bbox_inches="tight", metadata=undated)


def svg(figure: Figure) -> str:
    """A figure as the text of an <svg> element; the same figure gives the same text."""
    text = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "morphoscope"}):  # otherwise ids are random
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    whole = text.getvalue()
    return whole[whole.index("<svg") :]
