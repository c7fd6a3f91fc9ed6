"""A cohort of aligned faces, as a generator trains on them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from morphoscope.classify.gestalt.alignment import Template, scale_of
from morphoscope.classify.gestalt.preparation import Face, find_face
from morphoscope.cohort import Cohort
from morphoscope.cohort.face_mesh import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_BASE,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    canonical_face,
)
from morphoscope.cohort.storage import new_folder
from morphoscope.configs import UserError, arguments
from morphoscope.runtime.progress import track

# Not by the eyes alone: their distance is itself a sign of some syndromes, and would become the scale.
_PARTS = (
    LEFT_EYE_OUTER,
    LEFT_EYE_INNER,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    NOSE_BASE,
    MOUTH_LEFT,
    MOUTH_RIGHT,
)
_WIDTH = 23.0  # cm of the mean face's geometry that the square shows: the head with some hair
_CENTRE = np.array([0.0, 0.6])  # of the square there; y up
_DROPPED = ("mask",)  # columns that name a file of the size of the photograph


class AlignedFaces(NamedTuple):
    """A cohort of aligned faces.

    Attributes:
        cohort: the faces that were written.
        left_out: {file of the source: why it is not among them}.
        enlarged: number of faces that have fewer pixels in their photograph than the aligned image has.
    """

    cohort: Cohort
    left_out: dict[str, str]
    enlarged: int


def head_template(size: int) -> Template:
    """Where a whole head lies in a square of `size` pixels: that of the mean face, upright in its middle."""
    places = (canonical_face().points[list(_PARTS), :2] - _CENTRE) * [1, -1]
    return Template(size, tuple((part,) for part in _PARTS), places * (size / _WIDTH) + size / 2)


def align_cohort(
    cohort: Cohort, destination: Path, size: int = 128, keep_flagged: bool = False
) -> AlignedFaces:
    """Write the aligned faces of a cohort's real images as a new cohort, with view `face`.

    Conditions, patients, families, folds and further columns stay, so that a patient remains in one fold; a
    column `original` names the source's file. Masks do not fit aligned faces and are left out.

    Args:
        cohort: photographs that show one face each.
        destination: a new or empty folder; it is created only once it is complete.
        size: side of the images in pixels, 32 to 1024; a generator takes powers of two.
        keep_flagged: also take small, blurred, turned and hidden faces.

    Raises:
        UserError: a size out of range, no usable face at all, or the folder cannot be written.
    """
    arguments.whole_number("size", size, 32, 1024)
    arguments.flag("keep_flagged", keep_flagged)
    template = head_template(size)
    left_out: dict[str, str] = {}
    rows: list[dict[str, str]] = []
    enlarged = 0
    source = cohort.rows.drop(columns=[name for name in _DROPPED if name in cohort.rows])
    with new_folder(destination) as folder:
        (folder / "images").mkdir()
        real = np.flatnonzero(source["source"] == "real").tolist()
        for index in track(real, "Aligning faces", unit="images"):
            row = {str(column): str(cell) for column, cell in source.iloc[index].items()}
            face = _usable_face(cohort.image(index), keep_flagged)
            if isinstance(face, str):
                left_out[row["file"]] = face
                continue
            enlarged += scale_of(template.transform(face.landmarks.points)) > 1
            name = f"images/face-{len(rows):05d}.png"
            Image.fromarray(face.aligned(template)).save(folder / name)
            rows.append({**row, "file": name, "view": "face", "original": row["file"]})
        if not rows:
            example = next(iter(left_out.items()), ("none", "there are no real images"))
            raise UserError(f"No usable face in {cohort.root} ({example[0]}: {example[1]})")
        Cohort.from_rows(folder, pd.DataFrame(rows)).save()
    return AlignedFaces(Cohort.load(Path(destination)), left_out, enlarged)


def _usable_face(image: np.ndarray, keep_flagged: bool) -> Face | str:
    """The face in uint8 RGB [H, W, 3], or why it is not used."""
    try:
        face = find_face(image)
    except UserError as error:
        return str(error)
    return face if keep_flagged or not face.quality.flags else "; ".join(face.quality.flags)
