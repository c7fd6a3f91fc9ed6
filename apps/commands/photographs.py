"""Photographs that the command line names, as an ensemble takes them: images, or pairs."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from morphoscope.classify import Ensemble
from morphoscope.cohort import read_image
from morphoscope.configs import UserError


def read_photographs(
    ensemble: Ensemble, images: Sequence[Path], panoramic: Sequence[Path]
) -> tuple[list[str], list[np.ndarray]]:
    """(what to call each, what the ensemble takes for an image).

    Args:
        images: photographs; for a dual-view ensemble focused ones.
        panoramic: for a dual-view ensemble only; the i-th belongs to the i-th focused one, if there are any.

    Raises:
        UserError: no photograph, panoramic ones for single images, not as many as there are focused ones, or
            a file that cannot be read.
    """
    if not images and not panoramic:
        raise UserError("No photograph given: name at least one file as IMAGE.")
    if not ensemble.dual:
        if panoramic:
            raise UserError("--panoramic: this ensemble judges single images; name the file as IMAGE.")
        return [path.name for path in images], [read_image(path) for path in images]
    if images and panoramic and len(images) != len(panoramic):
        raise UserError(
            f"{len(images)} focused photographs (IMAGE), but {len(panoramic)} panoramic ones (--panoramic): "
            "give as many of both, partners in the same order, or photographs of one view only."
        )
    pairs = list(zip_longest(images, panoramic))
    names = [" + ".join(path.name for path in pair if path is not None) for pair in pairs]
    photographs = [[None if path is None else read_image(path) for path in pair] for pair in pairs]
    return names, [ensemble.pair(*pair) for pair in photographs]
