"""Example maps in one figure: a row per image, a column per method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from morphoscope.classify.attribution.overlay import legend, overlay
from morphoscope.runtime import write_atomically
from morphoscope.runtime.reporting.plots import plain

_CELL = 1.6  # inches


class ExampleMap(NamedTuple):
    """An attribution map float32 [R, R], and whether negative values are evidence against the condition."""

    map: np.ndarray
    signed: bool


@dataclass(frozen=True)
class Example:
    """An image with its maps.

    Attributes:
        image: uint8 [R, R, 3].
        condition: the target of the maps.
        mask: bool [R, R], true on the lesion; None if it is not known.
        maps: by method.
    """

    image: np.ndarray
    condition: str
    mask: np.ndarray | None
    maps: Mapping[str, ExampleMap]


def draw_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write a PNG: each image, with its lesion outlined, beside every method's overlay; legends below.

    Args:
        examples: at least one; all have the same methods.
    """
    names = list(examples[0].maps)
    rows, columns = len(examples), 1 + len(names)
    figure = Figure(figsize=(_CELL * columns + 0.4, _CELL * rows + 0.8), dpi=110, layout="constrained")
    cells = figure.subplots(rows, columns, squeeze=False)
    for row, example in zip(cells, examples, strict=True):
        row[0].set_ylabel(plain(example.condition))
        row[0].imshow(example.image)
        for axes, found in zip(row[1:], example.maps.values(), strict=True):
            axes.imshow(overlay(example.image, found.map, found.signed))
        for axes in row:
            axes.set(xticks=[], yticks=[])
            if example.mask is not None:
                axes.contour(example.mask, levels=[0.5], colors="white", linewidths=0.7)
    for axes, name in zip(cells[0], ["image", *names], strict=True):
        axes.set_title(name.replace("_", " ").replace(":", "\n"), fontsize=8)
    strip = np.hstack([legend(signed=True), legend(signed=False)])
    below = figure.add_axes((0.02, -0.06, 0.5, 0.05))
    below.imshow(strip)
    below.axis("off")
    with write_atomically(path) as temporary:
        figure.savefig(temporary, bbox_inches="tight")
