"""Samples and morphs as files; every picture says that it is synthetic, on itself and in its metadata."""

from pathlib import Path

import numpy as np
from rich.console import Console

from morphoscope.cohort.provenance import mixture, write_synthetic_image
from morphoscope.configs.commands import Morphing, Sampling
from morphoscope.generate.model import GeneratorModel, check_seeds
from morphoscope.generate.sheets import write_synthetic_sheet
from morphoscope.runtime.terminal import track

_SHEET_COLUMNS = 16


def write_samples(
    model: GeneratorModel, folder: Path, settings: Sampling, console: Console | None = None
) -> Path:
    """Write <condition>/seed0000.png … and sheet.png (the first 16 of each row); return the sheet's path.

    The folder of a condition is named by `GeneratorModel.file_stem`.

    Raises:
        UserError: an unknown condition or a seed out of range, before anything is written.
    """
    names = settings.conditions or model.conditions
    check_samples(model, settings)
    seeds = range(settings.seed, settings.seed + settings.count)
    rows: list[list[np.ndarray]] = [[] for _ in names]
    generated = (
        (name, row, seed, image)
        for name, row in zip(names, rows, strict=True)
        for seed, image in zip(seeds, model.stream(name, seeds, settings.psi), strict=True)
    )
    for name, row, seed, image in track(
        generated,
        "Sampling",
        total=len(names) * len(seeds),
        to=console,
    ):
        path = folder / model.file_stem(name) / f"seed{seed:04d}.png"
        write_synthetic_image(path, image, model.provenance({name: 1.0}, seed, settings.psi))
        if len(row) < _SHEET_COLUMNS:
            row.append(image)
    write_synthetic_sheet(folder / "sheet.png", names, [np.stack(row) for row in rows], model.provenance())
    return folder / "sheet.png"


def check_samples(model: GeneratorModel, settings: Sampling) -> None:
    """Raise UserError for an unknown condition or a seed out of range."""
    for name in settings.conditions:
        model.label(name)
    check_seeds([settings.seed, settings.seed + settings.count - 1])


def write_morph(model: GeneratorModel, folder: Path, a: str, b: str, settings: Morphing) -> Path:
    """Write frame000.png … and strip.png; return the strip's path.

    Raises:
        UserError: an unknown condition.
    """
    frames = model.morph(a, b, settings.seed, settings.steps, settings.psi)
    for index, (share, frame) in enumerate(zip(np.linspace(0, 1, settings.steps), frames, strict=True)):
        provenance = model.provenance(mixture(a, b, float(share)), settings.seed, settings.psi)
        write_synthetic_image(folder / f"frame{index:03d}.png", frame, provenance)
    write_synthetic_sheet(folder / "strip.png", [f"{a} to {b}"], [frames], model.provenance())
    return folder / "strip.png"
