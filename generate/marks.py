"""How a generated picture says that it is synthetic: in its file, and on sheets also to the eye."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.sheets import write_sheet
from morphoscope.runtime import write_atomically


def write_synthetic_png(
    path: Path, image: np.ndarray, model: GeneratorModel, label: str, seed: int, psi: float
) -> None:
    """Write uint8 [H, W, 3] as a PNG whose text metadata says that it is synthetic, and of which origin."""
    with write_atomically(path) as temporary:
        Image.fromarray(image).save(temporary, pnginfo=_marks(model, label=label, seed=seed, psi=psi))


def write_synthetic_sheet(
    path: Path, model: GeneratorModel, names: Sequence[str], rows: Sequence[np.ndarray]
) -> None:
    """Write a sheet of generated images, marked above them and in its metadata."""
    if model.phantoms_only:
        meaning = "trained on phantoms: no patient is shown"
    else:
        meaning = "not photographs; they may resemble its training photographs"
    caption = f"SYNTHETIC images, generator {model.digest}, {meaning}"
    write_sheet(path, names, rows, caption, _marks(model))


def _marks(model: GeneratorModel, **origin: Any) -> PngInfo:
    # A generator may repeat what it was trained on: only one of phantoms surely shows no patient.
    meaning = "not a photograph; may resemble its training photographs"
    if model.phantoms_only:
        meaning = "shows no patient"
    marks = PngInfo()
    marks.add_text("Synthetic", f"yes: made by a generator, {meaning}")
    marks.add_text("Software", "Morphoscope")
    marks.add_text("Morphoscope", json.dumps({"generator": model.digest, **origin}))
    return marks
