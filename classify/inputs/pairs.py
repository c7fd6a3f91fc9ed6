"""Pairs of a focused and a panoramic photograph of one lesion, and what models are shown of a cohort.

To a dual-view model a pair is one image, uint8 [S, 2S, 3]: the focused photograph left, the panoramic one
right. A half that is missing is black, every pixel 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from morphoscope.classify.inputs.selection import Selection
from morphoscope.cohort import Cohort
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.views import PairedView

HALVES: tuple[PairedView, PairedView] = ("focused", "panoramic")
"""Left and right."""

Form = Literal["whole"] | PairedView
"""What there is to be judged: an image or both of a pair; or one half alone."""


def lesions(rows: pd.DataFrame) -> np.ndarray:
    """Which lesion each row of a manifest shows: numbers from 0 in order of appearance, int64 [N].

    A lesion is what shares group, condition and fold (and, where the manifest has a column `pair`, its cell:
    for patients with several lesions).
    """
    keys = ["group", "condition", "fold", *(["pair"] if "pair" in rows.columns else [])]
    return rows.groupby(keys, sort=False).ngroup().to_numpy()


def form_pairs(rows: pd.DataFrame, among: np.ndarray) -> np.ndarray:
    """Which photographs belong together: row numbers int64 [P, 2], focused and panoramic, -1 where missing.

    The i-th focused photograph of a lesion (see `lesions`), in the manifest's order, goes with its i-th
    panoramic one; the view with fewer starts again from its first, so that each photograph is in a pair, and
    as few as can be are in several. Photographs of a lesion without the other view are half-pairs. Other
    views are left out.

    Args:
        rows: of a manifest, RangeIndex.
        among: numbers of the rows that may be used.
    """
    table = rows.iloc[among]
    table = table[table["view"].isin(HALVES)]
    lesion = lesions(table)
    number = int(lesion.max(initial=-1)) + 1
    own = [np.flatnonzero(table["view"] == view) for view in HALVES]
    counts = [np.bincount(lesion[positions], minlength=number) for positions in own]
    pairs = np.maximum(*counts)
    owner = np.repeat(np.arange(number), pairs)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(pairs) - pairs, pairs)  # within its lesion
    result = np.full((len(owner), 2), -1, np.int64)
    for side, (positions, count) in enumerate(zip(own, counts, strict=True)):
        ordered = positions[np.argsort(lesion[positions], kind="stable")]
        there = count[owner] > 0
        start = np.cumsum(count) - count
        chosen = (start[owner] + turn % np.maximum(count[owner], 1))[there]
        result[there, side] = table.index.to_numpy()[ordered[chosen]]
    return result


class PairedImages(Sequence[np.ndarray]):
    """Pairs of an array's images, joined as they are asked for."""

    def __init__(self, images: np.ndarray, pairs: np.ndarray) -> None:
        """`images` is uint8 [N, S, S, 3], maybe memory-mapped; `pairs` as `form_pairs` gives them."""
        self.images, self.pairs = images, pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        """One pair, uint8 [S, 2S, 3]; for a slice or an array of numbers an array [n, S, 2S, 3] of them."""
        chosen = self.pairs[index]
        found = np.zeros((*chosen.shape, *self.images.shape[1:]), np.uint8)
        found[chosen >= 0] = self.images[chosen[chosen >= 0]]
        return np.concatenate([found[..., side, :, :, :] for side in (0, 1)], axis=-2)


@dataclass(frozen=True)
class Samples:
    """What a model is shown of a cohort.

    Attributes:
        images: of each sample uint8 [S, S, 3], or a pair [S, 2S, 3].
        members: row numbers of its photographs, int64 [n, 1] or, of pairs, [n, 2]; -1 where missing.
    """

    images: Selection
    members: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The row that stands for each sample, int64 [n]: of a pair the focused one's if there is one."""
        return np.where(self.members[:, 0] >= 0, self.members[:, 0], self.members[:, -1])


def samples(cohort: Cohort, config: EnsembleTraining, among: np.ndarray, whole: bool = True) -> Samples:
    """What an ensemble with this config is shown of a cohort's rows `among` (numbers, or bool [N]).

    Args:
        whole: of a dual-view model's pairs only those that lack no half.
    """
    images = cohort.images(config.images.resolution, config.images.fit)
    among = np.flatnonzero(among) if among.dtype == bool else among
    if config.images.views == "single":
        return Samples(Selection(images, among), among[:, None])
    pairs = form_pairs(cohort.rows, among)
    if whole:
        pairs = pairs[(pairs >= 0).all(axis=1)]
    return Samples(Selection(PairedImages(images, pairs), np.arange(len(pairs))), pairs)


def photographs(pixels: Tensor) -> tuple[Tensor, ...]:
    """The square pictures side by side in images [N, 3, S, kS]: k tensors [N, 3, S, S]."""
    return pixels.split(pixels.shape[2], dim=3)


def present_halves(pixels: Tensor) -> Tensor:
    """Which photographs of images [N, 3, S, kS] are there, bool [N, k]: those that are not wholly black."""
    return torch.stack([half.ne(0).flatten(1).any(dim=1) for half in photographs(pixels)], dim=1)
