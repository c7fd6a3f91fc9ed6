"""A generated image again, from its provenance, and how far it is from the file."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from morphoscope.cohort import Provenance
from morphoscope.cohort.marking import readably_marked
from morphoscope.cohort.provenance import MorphPath, PathEnd
from morphoscope.configs import UserError
from morphoscope.generate.latents import End, LatentPath, ProjectedPhotograph
from morphoscope.generate.latents.parsing import parse_direction
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


def recreate(
    model: GeneratorModel,
    provenance: Provenance,
    pixels: np.ndarray,
    photographs: Sequence[ProjectedPhotograph] = (),
) -> Recreation:
    """Generate an image again and compare it with the file's.

    Args:
        pixels: of the file, uint8 [H, W, 3]; an image with its printed mark is compared with that mark.
        photographs: those that the image may be derived from.

    Raises:
        UserError: it is of another generator, the provenance does not determine it, a photograph is missing,
            or its size was changed.
    """
    if provenance.generator != model.digest:
        raise UserError(
            f"The image is by generator {provenance.generator or 'unknown'}, and this is {model.digest}."
        )
    if provenance.noise_mode == "random":
        raise UserError("The image cannot be generated again: its noise was drawn at random.")
    image = _generated(model, provenance, photographs)
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


def _generated(
    model: GeneratorModel, provenance: Provenance, photographs: Sequence[ProjectedPhotograph]
) -> np.ndarray:
    """The image uint8 [R, R, 3] that a provenance determines."""
    paths = provenance.paths or []
    if [len(path.positions) for path in paths] == [1]:
        path = _path(model, paths[0], provenance.psi, photographs)
        return path.frames(model, paths[0].positions)[0]
    if provenance.label is None or provenance.seed is None or provenance.psi is None:
        raise UserError(
            "The image cannot be generated again: it records neither a label, seed and psi nor a place on a "
            "morph. It may be a sheet or a film, or was found by projection."
        )
    noise_mode = provenance.noise_mode or "const"
    return model.sample(provenance.label, [provenance.seed], provenance.psi, noise_mode)[0]


def _path(
    model: GeneratorModel, mark: MorphPath, psi: float | None, photographs: Sequence[ProjectedPhotograph]
) -> LatentPath:
    a, b = (_end(model, end, photographs) for end in mark.ends)
    return LatentPath(a, b, mark.way, mark.interpolation, 1.0 if psi is None else psi, mark.centre)


def _end(model: GeneratorModel, mark: PathEnd, photographs: Sequence[ProjectedPhotograph]) -> End:
    source: int | ProjectedPhotograph | None = mark.seed
    if source is None:
        source = next((one for one in photographs if one.file_digest == mark.projection), None)
    if source is None:
        raise UserError(
            f"The image is of photograph {mark.photograph}: give its projection, the file with digest "
            f"{mark.projection}, as --photograph."
        )
    moves = tuple(parse_direction(name, strength, model) for name, strength in mark.directions)
    return End(source, mark.label, moves)
