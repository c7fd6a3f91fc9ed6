"""Sheets of several ends at once: grids over seeds, triangles, mixed styles and directions, all marked.

Ends are given as text; see `latents.parsing`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import label_text
from morphoscope.configs import UserError
from morphoscope.configs.morphs import Centre, DirectionDrawing, GridDrawing, StyleMixing, TriangleDrawing
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.latents.directions import Direction, condition_axis, factorised_directions
from morphoscope.generate.latents.marks import shared_provenance
from morphoscope.generate.latents.mixing import mix_styles, triangle, triangle_weights
from morphoscope.generate.latents.parsing import (
    WrittenEnd,
    parse_end,
    parse_ends,
    parse_layers,
    recorded_ends,
)
from morphoscope.generate.model import GeneratorModel, check_seeds
from morphoscope.generate.morph_files import path_between
from morphoscope.generate.sheets import Strip, write_synthetic_sheet
from morphoscope.runtime.progress import track


class EndSheet(NamedTuple):
    """A sheet that is ready to be written.

    Attributes:
        strips: its rows.
        provenance: what all its images share.
        ends: what it was drawn from, in the order in which they were given.
    """

    strips: list[Strip]
    provenance: Provenance
    ends: list[WrittenEnd]

    @property
    def recorded(self) -> dict[str, str]:
        """{text of an end: what a run records of it}."""
        return recorded_ends(self.ends)

    def write(self, path: Path) -> None:
        """Write it as a PNG, marked as synthetic, atomically."""
        write_synthetic_sheet(path, self.strips, self.provenance, one_row=True)


def grid_sheet(model: GeneratorModel, a: str, b: str, settings: GridDrawing) -> EndSheet:
    """The morph from a to b for several seeds, one per row.

    Raises:
        UserError: an end that cannot be read, a seed out of range, or ends without such a path.
    """
    seeds = range(settings.seed, settings.seed + settings.count)
    check_seeds([seeds[0], seeds[-1]])
    ratios = np.linspace(0, 1, settings.steps)
    captions = [f"{100 * ratio:.0f}%" for ratio in ratios]
    written = parse_ends([a, b], model, seeds[0])
    strips, paths = [], []
    for seed in track(seeds, "Generating rows"):
        path = path_between(settings, *(one.with_seed(seed) for one in written))
        strips.append(Strip(f"seed {seed}", path.frames(model, ratios), captions=captions))
        paths.append(path)
    ends = [end for path in paths for end in (path.a, path.b)]
    marks = [path.mark(ratios) for path in paths]
    return EndSheet(strips, shared_provenance(model, ends, settings.psi, marks), written)


def triangle_sheet(model: GeneratorModel, corners: Sequence[str], settings: TriangleDrawing) -> EndSheet:
    """All mixtures of three ends: one corner on top, the two others at the bottom.

    Raises:
        UserError: an end that cannot be read, or corners that cannot be mixed.
    """
    written = parse_ends(corners, model, settings.seed)
    first, second, third = ends = [one.end for one in written]
    corners = [one.title for one in written]
    images = triangle(
        model, (first, second, third), settings.side, settings.way, settings.psi, settings.centre
    )
    captions = [label_text(_merged(corners, shares)) for shares in triangle_weights(settings.side).tolist()]
    strips, start = [], 0
    for row in range(settings.side):
        part = slice(start, start + row + 1)
        name = f"{100 * (1 - row / (settings.side - 1)):.0f}% {corners[0]}"
        strips.append(Strip(name, images[part], captions=captions[part]))
        start += row + 1
    return EndSheet(strips, shared_provenance(model, ends, settings.psi), written)


def mixing_sheet(
    model: GeneratorModel, rows: Sequence[str], columns: Sequence[str], settings: StyleMixing
) -> EndSheet:
    """Style mixing: on the left the rows' own images, on top those of the columns.

    Raises:
        UserError: an end that cannot be read, or layers that the generator lacks.
    """
    written = [parse_end(text, model, settings.seed) for text in (*rows, *columns)]
    ends, titles = [one.end for one in written], [one.title for one in written]
    of_rows, of_columns = ends[: len(rows)], ends[len(rows) :]
    rows, columns = titles[: len(rows)], titles[len(rows) :]
    layers = parse_layers(settings.layers)
    mixed = mix_styles(model, of_rows, of_columns, layers, settings.psi, settings.centre)
    own, other = (
        np.concatenate([_image(model, end, settings.psi, settings.centre) for end in ends])
        for ends in (of_rows, of_columns)
    )
    blank = np.full_like(own[:1], 255)
    names = ["own", *columns]
    strips = [Strip(f"layers {settings.layers} of", np.concatenate([blank, other]), captions=["", *columns])]
    strips += [
        Strip(name, np.concatenate([image[None], row]), captions=names)
        for name, image, row in zip(rows, own, mixed, strict=True)
    ]
    return EndSheet(strips, shared_provenance(model, ends, settings.psi), written)


def direction_sheet(model: GeneratorModel, start: str, settings: DirectionDrawing) -> EndSheet:
    """A preview: one direction per row, from negative to positive strength.

    Args:
        start: the end that the directions are added to.

    Raises:
        UserError: an end that cannot be read, layers that the generator lacks, or an axis from a mixture.
    """
    written = parse_end(start, model, settings.seed)
    end = written.end
    if settings.axes:
        directions = _axes_from(model, end)
        strengths = np.linspace(0, 1, settings.steps)
    else:
        layers = None if settings.layers is None else parse_layers(settings.layers)
        directions = factorised_directions(model, settings.count, layers)
        strengths = np.linspace(-settings.strength, settings.strength, settings.steps)
    ratios = np.linspace(0, 1, settings.steps)
    strips, marks = [], []
    for direction in track(directions, "Generating directions"):
        first, last = (
            replace(end, moves=(*end.moves, direction.move(float(strength))))
            for strength in (strengths[0], strengths[-1])
        )
        line = LatentPath(first, last, psi=settings.psi, centre=settings.centre)
        marks.append(line.mark(ratios))
        captions = [f"{strength:+.2g}" if strength else "0" for strength in strengths]
        strips.append(Strip(f"@{direction.name}", line.frames(model, ratios), captions=captions))
    return EndSheet(strips, shared_provenance(model, [end], settings.psi, marks), [written])


def _axes_from(model: GeneratorModel, end: End) -> list[Direction]:
    if len(end.label) != 1:
        raise UserError("Axes begin at one condition, not at a mixture.")
    (own,) = end.label
    return [condition_axis(model, own, name) for name in model.conditions if name != own]


def _image(model: GeneratorModel, end: End, psi: float, centre: Centre) -> np.ndarray:
    """The image of one end, uint8 [1, R, R, 3]."""
    return LatentPath(end, end, psi=psi, centre=centre).frames(model, [0])


def _merged(names: Sequence[str], shares: Sequence[float]) -> dict[str, float]:
    """{name: share}; a name that stands for several corners has the sum of their shares."""
    found: dict[str, float] = {}
    for name, share in zip(names, shares, strict=True):
        found[name] = found.get(name, 0.0) + share
    return found
