"""Generated images beside their nearest training images, as an HTML page."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from morphoscope.cohort import Cohort, Provenance
from morphoscope.generate.metrics.neighbours import nearest
from morphoscope.runtime.reporting.report import Figure, Section, write_report

_SIDE = 192  # pixels of an image on the page, at least
_GAP = 8


class Pair(NamedTuple):
    """A generated image and its nearest training image.

    Attributes:
        number: of the generated image within its condition, from 0.
        row: of the training image.
        distance: Euclidean, between features.
    """

    condition: str
    number: int
    row: int
    distance: float


def closest_pairs(generated: Mapping[str, np.ndarray], training: np.ndarray, count: int) -> list[Pair]:
    """The `count` generated images that are closest to a training image, the closest first.

    Args:
        generated: {condition: features [M, D]}.
        training: features [T, D].
    """
    pairs = []
    for name, features in generated.items():
        distances, rows = nearest(features, training)
        pairs += [
            Pair(name, k, int(row), float(distance))
            for k, (row, distance) in enumerate(zip(rows[:, 0], distances[:, 0], strict=True))
        ]
    return sorted(pairs, key=lambda pair: pair.distance)[:count]


def write_pairs(
    path: Path,
    pairs: Sequence[Pair],
    images: Sequence[np.ndarray],
    provenances: Sequence[Provenance],
    training: Cohort,
    reals: np.ndarray,
    network: str,
) -> None:
    """Write the page, atomically; the left half of each picture carries the mark of synthesis in its comment.

    Args:
        images, provenances: of the pairs' generated images, uint8 [R, R, 3].
        training: the rows that `Pair.row` counts.
        reals: the pairs' training images as the generator was shown them, uint8 [N, R, R, 3].
        network: name of the feature network.

    Raises:
        UserError: the file cannot be written.
    """
    figures = []
    for pair, image, provenance, real in zip(pairs, images, provenances, reals, strict=True):
        row = training.rows.iloc[pair.row]
        caption = (
            f"Left: SYNTHETIC, {pair.condition}, seed {provenance.seed}. Right: real, {row['condition']}, "
            f"{row['file']}. Distance {pair.distance:.4g}."
        )
        figures.append(Figure(_side_by_side(image, real, provenance), caption))
    if training.phantom:
        notice = "The real images on this page are phantoms, procedural drawings: no patient is shown."
    else:
        notice = (
            "THIS PAGE SHOWS REAL IMAGES OF PATIENTS, and names their files: store and share it under the "
            "same rules as the cohort."
        )
    write_report(
        path,
        title="Closest pairs",
        lead=f"The {len(pairs)} generated images that are closest to a training image, the closest first.",
        notice=notice,
        sections=[Section(f"Closest by the features of {network}", figures=figures, side_by_side=True)],
        wide=True,
    )


def _side_by_side(synthetic: np.ndarray, real: np.ndarray, provenance: Provenance) -> bytes:
    """Both images in one JPEG, the synthetic one on the left."""
    side = max(_SIDE, len(synthetic))
    canvas = Image.new("RGB", (2 * side + _GAP, side), (255, 255, 255))
    for left, pixels in ((0, synthetic), (side + _GAP, real)):
        shown = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
        canvas.paste(shown, (left, 0))
    out = io.BytesIO()
    comment = f"Left half: synthetic? {provenance.statement}; {provenance.summary}. Right half: a real image."
    canvas.save(out, "jpeg", quality=92, subsampling=0, comment=comment)
    return out.getvalue()
