"""An attribution map as one picture that explains itself: condition, file, method, the image and the map."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morphoscope.classify.attribution.maps import Attribution
from morphoscope.classify.attribution.overlay import legend, overlay
from morphoscope.cohort import Provenance
from morphoscope.cohort.marking import marked
from morphoscope.cohort.provenance import encode_synthetic_png
from morphoscope.configs import arguments
from morphoscope.configs.attribution import METHOD_NAMES
from morphoscope.runtime import write_atomically
from morphoscope.runtime.reporting.lettering import font_of, wrapped

_SMALLEST, _LARGEST = 480, 1024  # pixels, longer side of the image and of the map
_WIDE = 1.5  # width by height from which the map is below the image: a pair of photographs
_GAP = 16
_LEGEND_HEIGHT = 44
_HEADING, _TEXT = font_of(24), font_of(16)
_PAPER, _INK, _PALE_INK = (255, 255, 255), (20, 20, 20), (90, 90, 90)
_CAUTION = (
    "The map shows what this classifier uses, not where the disease is. For research and teaching only."
)


def draw_explanation(
    image: np.ndarray, found: Attribution, condition: str, file: str, notes: Sequence[str] = ()
) -> np.ndarray:
    """Draw the image and, beside it (below a wide one), the map laid over it; with titles and a legend.

    Args:
        image: uint8 [H, W, 3] RGB; shown with a longer side of 480 to 1024 pixels.
        found: its map.
        condition: name of `found.target` as people should read it.
        file: name of the image's file.
        notes: sentences printed below.

    Returns:
        uint8 [h, w, 3] RGB.

    Raises:
        UserError: an argument of another type.
    """
    arguments.instance("found", found, Attribution, "an Attribution, from Ensemble.attribute")
    arguments.text("condition", condition)
    arguments.text("file", file)
    arguments.listed("notes", notes, str, "a list of sentences")
    panels = [_fitted(picture) for picture in (image, overlay(image, found.map, found.signed))]
    height, width = panels[0].shape[:2]
    below = width > _WIDE * height
    places = [(_GAP, 0), (_GAP, height + 2 * _GAP + _line(_TEXT)) if below else (2 * _GAP + width, 0)]
    right, bottom = places[1][0] + width, places[1][1] + height + _line(_TEXT)
    room = right - _GAP
    head = wrapped(f"Evidence for {condition}", _HEADING, room)
    source = wrapped(file, _TEXT, room)
    foot = [line for note in (*notes, _CAUTION) for line in wrapped(note, _TEXT, room)]
    top = _GAP + len(head) * _line(_HEADING) + len(source) * _line(_TEXT) + _GAP // 2
    after = top + bottom + _LEGEND_HEIGHT + _GAP // 2

    canvas = Image.new("RGB", (right + _GAP, after + len(foot) * _line(_TEXT) + _GAP), _PAPER)
    pen = ImageDraw.Draw(canvas)
    y = _write(pen, _GAP, _GAP, head, _HEADING)
    _write(pen, _GAP, y, source, _TEXT, _PALE_INK)
    for (x, y), panel, title in zip(places, panels, ("Image", _title(found)), strict=True):
        pen.text((x, top + y), title, fill=_INK, font=_TEXT)
        canvas.paste(Image.fromarray(panel), (x, top + y + _line(_TEXT)))
    key = legend(width, _LEGEND_HEIGHT, found.signed)
    canvas.paste(Image.fromarray(key), (places[1][0], top + bottom))
    _write(pen, _GAP, after, foot, _TEXT, _PALE_INK)
    return np.asarray(canvas)


def write_explanation(
    path: Path,
    image: np.ndarray,
    found: Attribution,
    condition: str,
    file: str,
    notes: Sequence[str] = (),
    provenance: Provenance | None = None,
) -> None:
    """Write `draw_explanation` as a PNG, atomically.

    Args:
        provenance: of a synthetic image; the picture is then marked, in print and in its metadata.

    Raises:
        UserError: an argument of another type, or a file that cannot be written.
    """
    path = arguments.path("path", path)
    if provenance is not None:
        arguments.instance("provenance", provenance, Provenance, "a Provenance, or None")
    picture = draw_explanation(image, found, condition, file, notes)
    with write_atomically(path) as temporary:
        if provenance is None:
            Image.fromarray(picture).save(temporary, "PNG")
        else:
            shown = Image.fromarray(marked(picture, provenance.summary))
            temporary.write_bytes(encode_synthetic_png(shown, provenance))


def _title(found: Attribution) -> str:
    """The method, its baseline and the number of models: "Integrated gradients, baseline mean, 5 models"."""
    baseline = f", baseline {found.baseline}" if found.baseline else ""
    folds = len(found.per_fold)
    return f"{METHOD_NAMES[found.method]}{baseline}, {folds} model{'s' if folds != 1 else ''}"


def _fitted(picture: np.ndarray) -> np.ndarray:
    """Scale uint8 [H, W, 3] so that its longer side is 480 to 1024 pixels."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    scale = min(max(longer, _SMALLEST), _LARGEST) / longer
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _line(font: ImageFont.FreeTypeFont) -> int:
    return round(1.4 * font.size)


def _write(
    pen: ImageDraw.ImageDraw,
    x: int,
    y: int,
    lines: Sequence[str],
    font: ImageFont.FreeTypeFont,
    ink: tuple[int, int, int] = _INK,
) -> int:
    """Write lines from `y` downwards; returns where the next one belongs."""
    for line in lines:
        pen.text((x, y), line, fill=ink, font=font)
        y += _line(font)
    return y
