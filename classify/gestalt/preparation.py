"""From a photograph to its faces: detected, with a mesh, measured, and ready to be aligned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morphoscope.classify.gestalt.alignment import Template, apply, warp
from morphoscope.classify.gestalt.detection import ATTEMPTS, Detection, detect_faces
from morphoscope.classify.gestalt.landmarks import Landmarks, find_landmarks
from morphoscope.classify.gestalt.quality import Quality, measure_quality
from morphoscope.classify.inputs.photographs import Photograph, as_array
from morphoscope.configs import UserError, arguments

_MIN_PRESENCE = 0.0  # of a mesh: below, the detector took something else for a face
_SIMILAR = 0.8  # of the largest face's size: which of two such faces is meant must be said


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photograph.

    Attributes:
        image: the photograph, uint8 RGB [H, W, 3].
        detection: where the detector saw it.
        landmarks: its mesh.
        quality: how well the photograph shows it.
    """

    image: np.ndarray
    detection: Detection
    landmarks: Landmarks
    quality: Quality

    def aligned(self, template: Template) -> np.ndarray:
        """The face as an encoder expects it, uint8 RGB [size, size, 3]."""
        return warp(self.image, template.transform(self.landmarks.points), template.size)

    def aligned_points(self, template: Template) -> NDArray[np.float64]:
        """The mesh in the aligned face, [468, 3] in its pixels."""
        return apply(template.transform(self.landmarks.points), self.landmarks.points)


def find_faces(photograph: Photograph) -> list[Face]:
    """All faces in a photograph, the largest first; empty if there is none.

    Args:
        photograph: a path, a Pillow image, or uint8 RGB [H, W, 3].

    Raises:
        UserError: the photograph cannot be read, or is no photograph.
    """
    image = as_array(photograph)
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        arguments.refuse("photograph", "a path, a Pillow image or uint8 RGB [H, W, 3]", image)
    for attempt in ATTEMPTS:
        found = []
        for detection in detect_faces(image, attempt):
            landmarks = find_landmarks(image, detection)
            if landmarks.presence > _MIN_PRESENCE:
                quality = measure_quality(image, detection, landmarks)
                found.append(Face(image, detection, landmarks, quality))
        if found:
            return sorted(found, key=lambda face: face.quality.eye_distance, reverse=True)
    return []


def find_mesh(image: np.ndarray) -> np.ndarray | None:
    """The mesh of the largest face in uint8 RGB [H, W, 3]: float64 [468, 3], or None without a face."""
    faces = find_faces(image)
    return faces[0].landmarks.points if faces else None


def find_face(photograph: Photograph, number: int | None = None) -> Face:
    """One face in a photograph.

    Args:
        number: which one, 1 for the largest; if None, the largest, unless another is almost as large.

    Raises:
        UserError: as for `find_faces`, there is no face, none with this number, or several faces are about
            equally large and `number` is None.
    """
    faces = find_faces(photograph)
    if not faces:
        raise UserError(
            "No face was found in the photograph. Use one that shows a face from the front, with nothing in "
            "front of it, and not much smaller than a tenth of the photograph; crop it if necessary."
        )
    if number is not None:
        return faces[arguments.whole_number("number", number, 1, len(faces)) - 1]
    equally_large = len(largest_faces(faces))
    if equally_large > 1:
        raise UserError(
            f"The photograph shows {equally_large} faces of about the same size. Give the number of the one "
            "that is meant (1 is the largest), or crop the photograph."
        )
    return faces[0]


def largest_faces(faces: Sequence[Face]) -> list[Face]:
    """Of the faces of a photograph, the largest and those about as large; which one is meant must be said.

    Args:
        faces: as `find_faces` gives them, the largest first.
    """
    return [face for face in faces if face.quality.eye_distance > _SIMILAR * faces[0].quality.eye_distance]
