"""Samples as files, all marked as synthetic: sheets in a caption, every image in its metadata."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import full_name
from morphoscope.configs.commands import Sampling
from morphoscope.generate.image_files import write_images
from morphoscope.generate.model import GeneratorModel, check_seeds
from morphoscope.generate.sheets import Strip, write_synthetic_sheet
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
