"""Pairs of a focused and a panoramic photograph of one lesion, and the samples of a cohort.

For a dual-view model a pair is one image, uint8 [S, 2S, 3]: the focused photograph on the left, the panoramic
one on the right. In a missing half every pixel is 0.
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
"""The form of an input: a whole image or pair, or one half of a pair alone."""


def lesions(rows: pd.DataFrame) -> np.ndarray:
    """The lesion that each row of a manifest shows, as a number from 0 in order of appearance, int64 [N].

    Rows show the same lesion if they share group, condition and fold and, if the manifest has a column
    `pair`, its value, which separates several lesions of one patient.
    """
    keys = ["group", "condition", "fold", *(["pair"] if "pair" in rows.columns else [])]
    return rows.groupby(keys, sort=False).ngroup().to_numpy()


def form_pairs(rows: pd.DataFrame, among: np.ndarray) -> np.ndarray:
    """Form pairs of photographs of the same lesion.

    The i-th focused photograph of a lesion (see `lesions`), in the manifest's order, is paired with its i-th
    panoramic one. The view with fewer photographs starts again from its first, so that each photograph is in
    a pair. Photographs of a lesion without the other view are half-pairs. Other views are left out.

    Args:
        rows: of a manifest, with a RangeIndex.
        among: numbers of the rows that may be used, int64.

    Returns:
        Row numbers of the focused and the panoramic photograph of each pair, int64 [P, 2]; -1 where missing.
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
    """Pairs of an array's images, joined when they are read."""

    def __init__(self, images: np.ndarray, pairs: np.ndarray) -> None:
        """`images` is uint8 [N, S, S, 3], possibly memory-mapped; `pairs` is as from `form_pairs`."""
        self.images, self.pairs = images, pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        """One pair, uint8 [S, 2S, 3]; for a slice or an array of numbers n pairs, [n, S, 2S, 3]."""
        chosen = self.pairs[index]
        found = np.zeros((*chosen.shape, *self.images.shape[1:]), np.uint8)
        found[chosen >= 0] = self.images[chosen[chosen >= 0]]
        return np.concatenate([found[..., side, :, :, :] for side in (0, 1)], axis=-2)


@dataclass(frozen=True)
class Samples:
    """The n samples of a cohort that a model predicts.

    Attributes:
        images: each uint8 [S, S, 3], or a pair [S, 2S, 3].
        members: row numbers of each sample's photographs, int64 [n, 1] or, for pairs, [n, 2]; -1 if missing.
    """

    images: Selection
    members: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The row that represents each sample, int64 [n]: of a pair the focused photograph's if present."""
        return np.where(self.members[:, 0] >= 0, self.members[:, 0], self.members[:, -1])


def samples(cohort: Cohort, config: EnsembleTraining, among: np.ndarray, whole: bool = True) -> Samples:
    """The samples of a cohort for an ensemble with this config.

    Args:
        cohort: N images.
        config: says how images become square, and whether the samples are pairs.
        among: the rows to use, numbers int64 or bool [N].
        whole: for a dual-view model only pairs of two photographs, no half-pairs.
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
    """The k photographs side by side in images [N, 3, S, kS]: k tensors [N, 3, S, S]."""
    return pixels.split(pixels.shape[2], dim=3)


def present_halves(pixels: Tensor) -> Tensor:
    """Which photographs of images [N, 3, S, kS] are present, bool [N, k]: those that are not all black."""
    return torch.stack([half.ne(0).flatten(1).any(dim=1) for half in photographs(pixels)], dim=1)
