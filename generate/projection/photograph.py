"""Photographs as the generator's training images were prepared: upright, RGB, square, of its resolution."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from morphoscope.cohort import Fit
from morphoscope.cohort.reading import MAX_FILE_BYTES, decode
from morphoscope.cohort.resizing import square
from morphoscope.configs.user_files import read_regular


@dataclass(frozen=True)
class Photograph:
    """A photograph to project.

    Attributes:
        digest: first 16 hex digits of the SHA-256 of the file's bytes. Results name the photograph by it
            alone: its file's name may be a patient's.
        pixels: uint8 [R, R, 3] RGB.
    """

    digest: str
    pixels: np.ndarray

    @classmethod
    def read(cls, path: Path, resolution: int, fit: Fit = "crop") -> "Photograph":
        """Read a file of any size, mode and orientation.

        Raises:
            UserError: the file is missing, damaged, no image, or costs too much (`cohort.read_image`).
        """
        data = read_regular(path, MAX_FILE_BYTES, str(path))
        pixels = square(decode(data, str(path)).image, resolution, fit)
        return cls(hashlib.sha256(data).hexdigest()[:16], pixels)
