"""Photographs named on the command line, in the form that an ensemble takes: images, or pairs."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from morphoscope.classify import Ensemble
from morphoscope.cohort import Provenance, read_image
from morphoscope.cohort.provenance import file_provenance
from morphoscope.cohort.reading import MAX_FILE_BYTES
from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular


class Photograph(NamedTuple):
    """An image to predict from, or a pair of them.

    Attributes:
        name: of the file; of a pair, both names.
        pixels: uint8 [H, W, 3].
        provenance: of a synthetic image, or of a pair with one; None for photographs.
    """

    name: str
    pixels: np.ndarray
    provenance: Provenance | None = None


def read_photographs(paths: Sequence[Path] | None) -> list[Photograph]:
    """UserError if a file cannot be read."""
    return [_read(path) for path in paths or []]


def _read(path: Path) -> Photograph:
    data = read_regular(path, MAX_FILE_BYTES, str(path))
    pixels = read_image(data, str(path))  # first: it reports what is damaged
    return Photograph(path.name, pixels, file_provenance(data))


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
        synthetic = [half.provenance for half in halves if half is not None and half.provenance is not None]
        pairs.append(Photograph(name, ensemble.pair(left, right), _shared(synthetic)))
    return pairs


def _shared(synthetic: Sequence[Provenance]) -> Provenance | None:
    """What the provenances of the synthetic images in a pair have in common; None for a pair without any."""
    if not synthetic:
        return None
    first, last = (one.model_dump() for one in (synthetic[0], synthetic[-1]))
    shared = {name: value if last[name] == value else None for name, value in first.items()}
    return Provenance(**{**shared, "phantoms_only": all(one.phantoms_only for one in synthetic)})
