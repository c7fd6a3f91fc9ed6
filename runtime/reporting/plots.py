"""What all curves share: colours, names as labels, and SVG as text."""

from io import StringIO

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart also with colour-blind eyes; its yellow is too pale for lines on white.
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#404040")


def colour(index: int) -> str:
    """The colour of condition `index`, the same in all figures."""
    if index < len(_PALETTE):
        return _PALETTE[index]
    return matplotlib.colors.to_hex(matplotlib.colormaps["tab20"](index % 20))


def plain(name: str) -> str:
    """A name as a label: Matplotlib reads $ as mathematics, and leaves out legend names that start with _."""
    return name.replace("$", r"\$").lstrip("_")


def svg(figure: Figure) -> str:
    """A figure as the text of an <svg> element, the same each time."""
    text = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "morphoscope"}):  # else ids are random
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    whole = text.getvalue()
    return whole[whole.index("<svg") :]
