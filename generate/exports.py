"""Samples and morphs as files; every picture says that it is synthetic, on itself and in its metadata."""

from pathlib import Path

import numpy as np

from morphoscope.configs.commands import Morphing, Sampling
from morphoscope.generate.marks import write_synthetic_png, write_synthetic_sheet
from morphoscope.generate.model import GeneratorModel

_SHEET_COLUMNS = 16


def write_samples(model: GeneratorModel, folder: Path, settings: Sampling) -> Path:
    """Write <condition>/seed0000.png … and sheet.png (the first 16 of each row); return the sheet's path.

    Raises:
        UserError: an unknown condition.
    """
    names = settings.conditions or model.conditions
    seeds = list(range(settings.seed, settings.seed + settings.count))
    rows = [model.sample(name, seeds, settings.psi) for name in names]
    for name, images in zip(names, rows, strict=True):
        for seed, image in zip(seeds, images, strict=True):
            write_synthetic_png(folder / name / f"seed{seed:04d}.png", image, model, name, seed, settings.psi)
    write_synthetic_sheet(folder / "sheet.png", model, names, [row[:_SHEET_COLUMNS] for row in rows])
    return folder / "sheet.png"


def write_morph(model: GeneratorModel, folder: Path, a: str, b: str, settings: Morphing) -> Path:
    """Write frame000.png … and strip.png; return the strip's path.

    Raises:
        UserError: an unknown condition.
    """
    frames = model.morph(a, b, settings.seed, settings.steps, settings.psi)
    for index, (share, frame) in enumerate(zip(np.linspace(0, 1, settings.steps), frames, strict=True)):
        label = f"{1 - share:.3f} {a} + {share:.3f} {b}"
        write_synthetic_png(
            folder / f"frame{index:03d}.png", frame, model, label, settings.seed, settings.psi
        )
    write_synthetic_sheet(folder / "strip.png", model, [f"{a} to {b}"], [frames])
    return folder / "strip.png"
