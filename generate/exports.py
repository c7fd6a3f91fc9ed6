"""Samples as files, all marked as synthetic: sheets in a caption, every image in its metadata."""

from pathlib import Path

import numpy as np
from rich.console import Console

from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import full_name
from morphoscope.cohort.marking import readably_marked
from morphoscope.cohort.provenance import write_synthetic_image
from morphoscope.configs.commands import Sampling
from morphoscope.generate.model import GeneratorModel, check_seeds
from morphoscope.generate.sheets import Strip, write_synthetic_sheet
from morphoscope.runtime.progress import track

_SHEET_IMAGES = 16  # of each condition


def write_samples(
    model: GeneratorModel, folder: Path, settings: Sampling, console: Console | None = None
) -> Path:
    """Write <condition>/seed0000.png … and sheet.png; return the path of the sheet.

    `GeneratorModel.file_stem` names the folder of a condition. The sheet shows the first 16 images of each.

    Args:
        console: shows progress; stderr by default.

    Raises:
        UserError: an unknown condition or a seed out of range, before anything is written.
    """
    names = settings.conditions or model.conditions
    check_samples(model, settings)
    seeds = range(settings.seed, settings.seed + settings.count)
    strips: list[list[np.ndarray]] = [[] for _ in names]
    generated = (
        (name, strip, seed, image)
        for name, strip in zip(names, strips, strict=True)
        for seed, image in zip(seeds, model.stream(name, seeds, settings.psi), strict=True)
    )
    for name, strip, seed, image in track(
        generated,
        "Generating images",
        total=len(names) * len(seeds),
        unit="images",
        to=console,
        transient=False,
    ):
        path = folder / model.file_stem(name) / f"seed{seed:04d}.png"
        provenance = model.provenance({name: 1.0}, seed, settings.psi)
        write_image(path, model, image, provenance, settings.printed_mark)
        if len(strip) < _SHEET_IMAGES:
            strip.append(image)
    shown = [
        Strip(name, np.stack(strip), full_name(name, model.descriptions))
        for name, strip in zip(names, strips, strict=True)
    ]
    write_synthetic_sheet(folder / "sheet.png", shown, model.provenance(psi=settings.psi))
    return folder / "sheet.png"


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
