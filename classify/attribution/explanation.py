"""Attribution maps as figures that explain themselves: beside the image, and of each model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from morphoscope.classify.attribution.maps import Attribution
from morphoscope.classify.attribution.overlay import overlay
from morphoscope.classify.attribution.panels import Panel, Texts, draw_panels
from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import write_synthetic_image
from morphoscope.configs import arguments
from morphoscope.configs.attribution import METHOD_NAMES
from morphoscope.runtime.reporting.plots import VECTOR, pixels, save

_IMAGE_SIDES = (480, 1024)  # pixels, smallest and largest longer side of the image and of the map
_MODEL_SIDES = (320, 320)
_ROW = 1024  # pixels for the maps of models in a row
_WIDE = 1.5  # width by height from which the map is below the image: a pair of photographs
_CAUTION = (
    "The map shows what this classifier uses, not where the disease is. For research and teaching only."
)


@dataclass(frozen=True)
class Subject:
    """What a map is about, as people should read it.

    Attributes:
        condition: name of the map's `target`.
        file: name of the image's file.
        notes: sentences printed below.
        provenance: of a synthetic image, whose figures are marked, in print and in the metadata.
    """

    condition: str
    file: str
    notes: Sequence[str] = ()
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        arguments.text("condition", self.condition)
        arguments.text("file", self.file)
        arguments.listed("notes", self.notes, str, "a list of sentences")
        if self.provenance is not None:
            arguments.instance("provenance", self.provenance, Provenance, "a Provenance, or None")

    @property
    def mark(self) -> str | None:
        """What is printed of a synthetic image's origin."""
        return None if self.provenance is None else self.provenance.summary


def draw_explanation(image: np.ndarray, found: Attribution, subject: Subject) -> Figure:
    """Draw the image and, beside it (below a wide one), the map laid over it; with titles and a legend.

    Args:
        image: uint8 [H, W, 3] RGB; shown with a longer side of 480 to 1024 pixels.
        found: its map.
    """
    over = overlay(image, found.map, found.signed)
    panels = [
        Panel(title, _fitted(picture, *_IMAGE_SIDES))
        for title, picture in (("Image", image), (_title(found), over))
    ]
    below = image.shape[1] > _WIDE * image.shape[0]
    texts = Texts(f"Evidence for {subject.condition}", subject.file, [*subject.notes, _CAUTION])
    return draw_panels(panels, 1 if below else 2, texts, found.signed, subject.mark)


def draw_models(seen: np.ndarray, found: Attribution, titles: Sequence[str], subject: Subject) -> Figure:
    """Draw the map of each of F models over what they see, to be compared.

    Args:
        seen: uint8 [R, R, 3], or [R, 2R, 3] of a pair: `Ensemble.seen`.
        titles: of the F maps.
    """
    panels = [
        Panel(title, _fitted(overlay(seen, one, found.signed), *_MODEL_SIDES))
        for title, one in zip(titles, found.per_fold, strict=True)
    ]
    columns = min(len(panels), _ROW // panels[0].picture.shape[1])
    agreement = (
        "" if found.agreement is None else f" Mean rank correlation between them: {found.agreement:.2f}."
    )
    texts = Texts(
        f"Evidence for {subject.condition}: each model's map",
        f"{subject.file}. {METHOD_NAMES[found.method]}; colours are relative to each map's strongest pixels.",
        [f"Only what the maps have in common can be relied on.{agreement}", *subject.notes, _CAUTION],
    )
    return draw_panels(panels, columns, texts, found.signed, subject.mark)


def write_explanation(
    path: Path,
    image: np.ndarray,
    found: Attribution,
    condition: str,
    file: str,
    notes: Sequence[str] = (),
    provenance: Provenance | None = None,
) -> None:
    """Draw an image and, beside it, its map, with condition, file and method: as PNG, SVG and PDF.

    Args:
        path: of the PNG; the others have its name with their own suffix.
        image: uint8 [H, W, 3] RGB; shown with a longer side of 480 to 1024 pixels.
        found: its map.
        condition: name of `found.target` as people should read it.
        file: name of the image's file.
        notes: sentences printed below.
        provenance: of a synthetic image; the figure is then marked, in print and in its metadata.

    Raises:
        UserError: an argument of another type, or a file that cannot be written.
    """
    path = arguments.path("path", path)
    arguments.instance("found", found, Attribution, "an Attribution, from Ensemble.attribute")
    subject = Subject(condition, file, notes, provenance)
    write_marked(draw_explanation(image, found, subject), path, provenance)


def write_marked(figure: Figure, path: Path, provenance: Provenance | None) -> None:
    """Write a figure of `draw_panels` as PNG, SVG and PDF; that of a synthetic image with its mark."""
    if provenance is None:
        save(figure, path, whole=True)
    else:
        write_synthetic_image(path, pixels(figure), provenance)
        description = f"Synthetic? {provenance.statement}; {provenance.summary}"
        save(figure, path, VECTOR, whole=True, description=description)


def _title(found: Attribution) -> str:
    """The method, its baseline and the number of models: "Integrated gradients, baseline mean, 5 models"."""
    baseline = f", baseline {found.baseline}" if found.baseline else ""
    folds = len(found.per_fold)
    return f"{METHOD_NAMES[found.method]}{baseline}, {folds} model{'s' if folds != 1 else ''}"


def _fitted(picture: np.ndarray, smallest: int, largest: int) -> np.ndarray:
    """Scale uint8 [H, W, 3] so that its longer side is `smallest` to `largest` pixels."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    scale = min(max(longer, smallest), largest) / longer
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
