"""Samples and morphs as files, all marked as synthetic: sheets in a caption, every image in its metadata."""

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
        "Sampling",
        total=len(names) * len(seeds),
        to=console,
    ):
        path = folder / model.file_stem(name) / f"seed{seed:04d}.png"
        write_synthetic_image(path, image, model.provenance({name: 1.0}, seed, settings.psi))
        if len(strip) < _SHEET_COLUMNS:
            strip.append(image)
    stacked = [np.stack(strip) for strip in strips]
    write_synthetic_sheet(folder / "sheet.png", names, stacked, model.provenance())
    return folder / "sheet.png"


def check_samples(model: GeneratorModel, settings: Sampling) -> None:
    """Raise UserError for an unknown condition or a seed out of range."""
    for name in settings.conditions:
        model.label(name)
    check_seeds([settings.seed, settings.seed + settings.count - 1])


def write_morph(model: GeneratorModel, folder: Path, a: str, b: str, settings: Morphing) -> Path:
    """Write a morph from condition a to b as frame000.png … and strip.png; return the path of the strip.

    Raises:
        UserError: an unknown condition.
    """
    frames = model.morph(a, b, settings.seed, settings.steps, settings.psi)
    for index, (share, frame) in enumerate(zip(np.linspace(0, 1, settings.steps), frames, strict=True)):
        provenance = model.provenance(mixture(a, b, float(share)), settings.seed, settings.psi)
        write_synthetic_image(folder / f"frame{index:03d}.png", frame, provenance)
    write_synthetic_sheet(folder / "strip.png", [f"{a} to {b}"], [frames], model.provenance())
    return folder / "strip.png"
