"""Samples as files, all marked as synthetic: sheets in a caption, every image in its metadata."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import full_name
from morphoscope.cohort.marked_files import write_synthetic_image
from morphoscope.cohort.marking import readably_marked
from morphoscope.configs.commands import Sampling
from morphoscope.generate.execution import BATCH
from morphoscope.generate.model import GeneratorModel, check_seeds
from morphoscope.generate.sheets import UNREADABLE, Strip, read_sheet, write_synthetic_sheet
from morphoscope.runtime.files import is_plain_file
from morphoscope.runtime.progress import track

_SHEET_IMAGES = 16  # of each condition


def write_samples(
    model: GeneratorModel, folder: Path, settings: Sampling, console: Console | None = None
) -> Path:
    """Write <condition>/seed0000.png … and sheet.png; return the path of the sheet.

    `GeneratorModel.file_stem` names the folder of a condition. The sheet shows the first 16 images of each.
    Images that a stopped run has written are kept; see `write_images`.

    Args:
        console: shows progress; stderr by default.

    Raises:
        UserError: an unknown condition or a seed out of range, before anything is written.
    """
    names = list(dict.fromkeys(settings.conditions or model.conditions))
    check_samples(model, settings)
    written = ((name, image) for name in names for image in _write_seeds(model, folder, name, settings))
    strips: dict[str, list[np.ndarray]] = {name: [] for name in names}
    total = len(names) * settings.count
    for name, image in track(
        written, "Generating images", total=total, unit="images", to=console, transient=False
    ):
        if len(strips[name]) < _SHEET_IMAGES:
            strips[name].append(image)
    shown = [Strip(name, np.stack(strips[name]), full_name(name, model.descriptions)) for name in names]
    write_synthetic_sheet(folder / "sheet.png", shown, model.provenance(psi=settings.psi))
    return folder / "sheet.png"


def _write_seeds(
    model: GeneratorModel, folder: Path, condition: str, settings: Sampling
) -> Iterator[np.ndarray]:
    """Write the images of one condition, and yield them."""
    seeds = range(settings.seed, settings.seed + settings.count)
    place = folder / model.file_stem(condition)

    def described(index: int) -> tuple[Path, Provenance]:
        mark = model.provenance({condition: 1.0}, seeds[index], settings.psi)
        return place / f"seed{seeds[index]:04d}.png", mark

    def generated(chosen: Sequence[int]) -> Iterator[np.ndarray]:
        return model.stream(condition, [seeds[index] for index in chosen], settings.psi)

    return write_images(model, len(seeds), described, generated, settings.printed_mark)


def check_samples(model: GeneratorModel, settings: Sampling) -> None:
    """Raise UserError for an unknown condition or a seed out of range."""
    for name in settings.conditions:
        model.label(name)
    check_seeds([settings.seed, settings.seed + settings.count - 1])


def write_image(
    path: Path, model: GeneratorModel, image: np.ndarray, provenance: Provenance, printed: bool
) -> None:
    """Write one image, uint8 [R, R, 3], marked in its metadata and, with `printed`, in print too."""
    shown = readably_marked(image, provenance) if printed else model.stored(image)
    write_synthetic_image(path, shown, provenance)


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
                write_image(path, model, image, provenance, printed)
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
