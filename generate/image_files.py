"""Generated images as files, each with its mark; those that a stopped run has written are kept."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import write_synthetic_image
from morphoscope.cohort.marking import readably_marked
from morphoscope.generate.execution import BATCH
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.sheets import UNREADABLE, read_sheet
from morphoscope.runtime.files import is_plain_file


def write_images(
    model: GeneratorModel,
    count: int,
    described: Callable[[int], tuple[Path, Provenance]],
    generated: Callable[[Sequence[int]], Iterator[np.ndarray]],
    printed: bool,
) -> Iterator[np.ndarray]:
    """Write images as soon as they are generated, except those that a stopped run has written; yield all.

    An image is kept if its file carries the same mark, which determines its pixels; with `printed` none is.

    Args:
        described: the file and the provenance of an image, by its index.
        generated: the images uint8 [R, R, 3] of given indices.
        printed: print the mark below each image.
    """
    for start in range(0, count, BATCH):
        indices = range(start, min(start + BATCH, count))
        files = [described(index) for index in indices]
        kept = [None if printed else _kept_image(model, *file) for file in files]
        missing = [index for index, image in zip(indices, kept, strict=True) if image is None]
        fresh = generated(missing)
        for (path, provenance), image in zip(files, kept, strict=True):
            if image is None:
                image = next(fresh)
                shown = readably_marked(image, provenance) if printed else model.stored(image)
                write_synthetic_image(path, shown, provenance)
            yield image


def _kept_image(model: GeneratorModel, path: Path, provenance: Provenance) -> np.ndarray | None:
    """The image uint8 [R, R, 3] that a stopped run has written; None if there is none with this mark."""
    if not is_plain_file(path):
        return None
    try:
        image, found = read_sheet(path)
    except UNREADABLE:
        return None
    side = (model.resolution, model.resolution)
    return np.asarray(image) if found == provenance and image.size == side else None
