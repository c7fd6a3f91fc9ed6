"""What the Explore tab shows: samples of all conditions, mixtures of three, mixed styles, and directions."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio.answers import (
    CellAnswer,
    PictureAnswer,
    SheetAnswer,
    Shown,
    picture_answer,
    sheet_answer,
)
from morphoscope.apps.studio.requests import MAX_SEED, chosen_of, label_of, number, whole_number
from morphoscope.apps.texts import text
from morphoscope.cohort.provenance import label_text
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.latents.directions import Direction, factorised_directions
from morphoscope.generate.latents.marks import frame_provenance
from morphoscope.generate.latents.mixing import mix_styles, triangle_weights

DIRECTIONS = 6
STRONGEST = 3
"""Standard deviations of the codes along a direction, to either side."""
LAYERS: dict[str, tuple[float, float]] = {"coarse": (0, 0.34), "middle": (0.34, 0.67), "fine": (0.67, 1)}
"""Groups of layers, as shares of all."""
_PER_CONDITION, _OF_ONE, _SIDE, _MIXED = 6, 24, 9, 4

Values = Mapping[str, Any]


class Explore:
    """The sheets of the tab, and its single images; methods raise UserError for unusable values."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench, self.model = workbench, workbench.generator

    def wall(self, values: Values) -> SheetAnswer:
        """Samples with consecutive seeds: six of each condition, or 24 of the condition `a`."""
        seed, psi = _seed(values), _psi(values)
        names = [values["a"]] if values.get("a") else self.model.conditions
        count = _OF_ONE if values.get("a") else _PER_CONDITION
        labels = [label for label in (label_of(name, self.model) for name in names) for _ in range(count)]
        seeds = [seed + number for _ in names for number in range(count)]
        return self._samples(labels, seeds, psi, _PER_CONDITION)

    def triangle(self, values: Values) -> SheetAnswer:
        """All mixtures of the conditions a, b and c with one seed, in the order of `triangle_weights`."""
        seed, psi = _seed(values), _psi(values)
        corners = [label_of(values.get(name), self.model) for name in "abc"]
        labels = [_mixed(corners, shares) for shares in triangle_weights(_SIDE).tolist()]
        return self._samples(labels, [seed] * len(labels), psi, _SIDE)

    def mix(self, values: Values) -> SheetAnswer:
        """Style mixing: rows are of condition a, columns of b; first their own images."""
        images, psi = self._mix(values), _psi(values)
        mark = self.model.provenance(psi=psi).summary
        cells = [CellAnswer(caption="", mark=mark, label="", seed=None) for _ in images]
        return sheet_answer(self.model, images, cells, _MIXED + 1, psi)

    def moved(self, values: Values) -> PictureAnswer:
        """The image of condition a after a step along each direction, `d1` to `d6`."""
        return self.picture({**values, "kind": "moved"})

    def picture(self, values: Values) -> PictureAnswer:
        """An image of a sheet, or the one after steps along directions, enlarged and marked."""
        return picture_answer(self.shown(values))

    def shown(self, values: Values) -> Shown:
        """The image that `kind` and the other values select: sample, mix or moved."""
        kinds: dict[str, Callable[[Values], Shown]] = {
            "sample": self._sample,
            "mix": self._mixed_one,
            "moved": self._moved,
        }
        return kinds[chosen_of("kind", values.get("kind"), list(kinds))](values)

    def _samples(
        self, labels: Sequence[Mapping[str, float]], seeds: Sequence[int], psi: float, columns: int
    ) -> SheetAnswer:
        with self.workbench.turn:
            images = self.model.mixtures(labels, seeds, psi)
        cells = [
            CellAnswer(
                caption=label_text(label),
                mark=self.model.provenance(dict(label), seed, psi).summary,
                label=label_text(label),
                seed=seed,
            )
            for label, seed in zip(labels, seeds, strict=True)
        ]
        return sheet_answer(self.model, images, cells, columns, psi)

    def _sample(self, values: Values) -> Shown:
        label, seed, psi = label_of(values.get("a"), self.model), _seed(values), _psi(values)
        with self.workbench.turn:
            (image,) = self.model.sample(label, [seed], psi)
        return Shown(image, self.model.provenance(label, seed, psi), label_text(label))

    def _mixed_one(self, values: Values) -> Shown:
        images = self._mix(values)
        image = images[whole_number("cell", values.get("cell"), len(images) - 1)]
        return Shown(image, self.model.provenance(psi=_psi(values)), text("explore.mixed"))

    def _mix(self, values: Values) -> np.ndarray:
        seed, psi = _seed(values), _psi(values)
        group = chosen_of("layers", values.get("layers"), list(LAYERS))
        first, last = (ceil(share * self.model.G.num_ws) for share in LAYERS[group])
        rows, columns = (
            [End(start + number, label_of(values.get(name), self.model)) for number in range(_MIXED)]
            for name, start in (("a", seed), ("b", (seed + _MIXED) % MAX_SEED))
        )
        with self.workbench.turn:
            mixed = mix_styles(self.model, rows, columns, range(first, last), psi)
            own, other = (
                self.model.mixtures([end.label for end in ends], [end.seed or 0 for end in ends], psi)
                for ends in (rows, columns)
            )
        blank = np.full_like(own[:1], 255)
        lines = [np.concatenate([image[None], line]) for image, line in zip(own, mixed, strict=True)]
        return np.concatenate([blank, other, *lines])

    def _moved(self, values: Values) -> Shown:
        label, seed, psi = label_of(values.get("a"), self.model), _seed(values), _psi(values)
        names = [f"d{number}" for number in range(1, len(self._directions) + 1)]
        strengths = [number(name, values.get(name, 0), STRONGEST, -STRONGEST) for name in names]
        moves = tuple(
            direction.move(strength)
            for direction, strength in zip(self._directions, strengths, strict=True)
            if strength
        )
        end = End(seed, label, moves)
        path = LatentPath(end, end, psi=psi)
        with self.workbench.turn:
            (image,) = path.frames(self.model, [0])
        return Shown(image, frame_provenance(self.model, path, 0.0), end.label_name)

    @cached_property
    def _directions(self) -> list[Direction]:
        return factorised_directions(self.model, min(DIRECTIONS, self.model.G.w_dim))


def _seed(values: Values) -> int:
    """Of the first image; further ones follow it."""
    return whole_number("seed", values.get("seed"), MAX_SEED - _OF_ONE)


def _psi(values: Values) -> float:
    return number("psi", values.get("psi"), 1)


def _mixed(corners: Sequence[Mapping[str, float]], shares: Sequence[float]) -> dict[str, float]:
    """The mixture of three labels; no share of 0."""
    found: dict[str, float] = {}
    for corner, share in zip(corners, shares, strict=True):
        for name, part in corner.items():
            found[name] = found.get(name, 0.0) + share * part
    return {name: part for name, part in found.items() if part > 0}
