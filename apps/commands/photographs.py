"""Photographs named on the command line, in the form that an ensemble takes: images, or pairs."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from morphoscope.classify import Ensemble
from morphoscope.cohort import read_image
from morphoscope.configs import UserError


class Photograph(NamedTuple):
    """A file's name and its pixels, uint8 [H, W, 3]."""

    name: str
    pixels: np.ndarray


def read_photographs(paths: Sequence[Path] | None) -> list[Photograph]:
    """UserError if a file cannot be read."""
    return [Photograph(path.name, read_image(path)) for path in paths or []]


def ensemble_inputs(
    ensemble: Ensemble, images: Sequence[Photograph], panoramic: Sequence[Photograph]
) -> list[Photograph]:
    """The photographs or, for a dual-view ensemble, pairs, named after both of their files.

    Args:
        images: photographs; for a dual-view ensemble focused ones.
        panoramic: for a dual-view ensemble only; the i-th belongs to the i-th focused one, if there are any.

    Raises:
        UserError: no photograph, panoramic ones for an ensemble of single images, or unequal numbers.
    """
    if not images and not panoramic:
        raise UserError("No photograph given: name at least one file as IMAGE.")
    if not ensemble.dual:
        if panoramic:
            raise UserError("--panoramic: this ensemble takes single images; name the file as IMAGE.")
        return list(images)
    if images and panoramic and len(images) != len(panoramic):
        raise UserError(
            f"{len(images)} focused photographs (IMAGE), but {len(panoramic)} panoramic ones (--panoramic): "
            "give equally many of both, in the same order, or photographs of one view only."
        )
    pairs = []
    for halves in zip_longest(images, panoramic):
        left, right = (None if half is None else half.pixels for half in halves)
        name = " + ".join(half.name for half in halves if half is not None)
        pairs.append(Photograph(name, ensemble.pair(left, right)))
    return pairs
