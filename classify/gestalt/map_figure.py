"""A figure of the faces in a gallery: their two principal components, coloured by syndrome."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from morphoscope.classify.gestalt.gallery import Gallery
from morphoscope.classify.gestalt.likeness import face_map
from morphoscope.runtime.reporting.plots import colour, plain, save

_LEGEND = 20  # syndromes that the legend can hold
_MARKS = "os^Dv<>PX*"


def write_face_map(path: Path, gallery: Gallery, embedding: np.ndarray | None = None) -> None:
    """Draw the map as a PNG file; a further face, float32 [D], is a large cross.

    Raises:
        UserError: fewer than three images, or the file cannot be written.
    """
    places, own = face_map(gallery, embedding)
    labels = gallery.labels
    figure = Figure(figsize=(7, 5.5), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for label, name in enumerate(gallery.syndromes):
        x, y = places[labels == label].T
        mark, legend = _MARKS[label % len(_MARKS)], plain(name) if label < _LEGEND else None
        axes.scatter(x, y, s=18, c=colour(label), marker=mark, label=legend)
    if own is not None:
        axes.scatter(own[:1], own[1:], s=160, c="black", marker="+", linewidths=2, label="this photograph")
    axes.set_xlabel("first principal component")
    axes.set_ylabel("second principal component")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    save(figure, path.with_suffix(""), [".png"], whole=True)
