"""A generated image again, from its provenance, and how far it is from the file."""

from typing import NamedTuple

import numpy as np

from morphoscope.cohort import Provenance
from morphoscope.cohort.marking import readably_marked
from morphoscope.configs import UserError
from morphoscope.generate.model import GeneratorModel


class Recreation(NamedTuple):
    """How an image that was generated again compares with the file.

    Attributes:
        differing: proportion of values (colours of pixels) that differ.
        largest: difference in grey levels, 0 if the images are the same to the bit.
        execution: of the image that was generated again.
    """

    differing: float
    largest: int
    execution: str | None


def recreate(model: GeneratorModel, provenance: Provenance, pixels: np.ndarray) -> Recreation:
    """Generate an image again and compare it with the file's.

    Args:
        pixels: of the file, uint8 [H, W, 3]; an image with its printed mark is compared with that mark.

    Raises:
        UserError: it is of another generator, the provenance does not determine it, or its size was changed.
    """
    if provenance.generator != model.digest:
        raise UserError(
            f"The image is by generator {provenance.generator or 'unknown'}, and this is {model.digest}."
        )
    if provenance.label is None or provenance.seed is None or provenance.psi is None:
        raise UserError(
            "The image cannot be generated again: it does not record one label, seed and psi. It may be a "
            "sheet, or an image between seeds, photographs or codes."
        )
    noise_mode = provenance.noise_mode or "const"
    if noise_mode == "random":
        raise UserError("The image cannot be generated again: its noise was drawn at random.")
    image = model.sample(provenance.label, [provenance.seed], provenance.psi, noise_mode)[0]
    shown = next(
        (each for each in (image, readably_marked(image, provenance)) if each.shape == pixels.shape), None
    )
    if shown is None:
        height, width = pixels.shape[:2]
        raise UserError(
            f"The file has {width} x {height} pixels, and the generator's images {model.resolution} x "
            f"{model.resolution}: it was enlarged or cut, and cannot be compared."
        )
    apart = np.abs(shown.astype(int) - pixels)
    return Recreation(float((apart > 0).mean()), int(apart.max()), model.provenance().execution)
