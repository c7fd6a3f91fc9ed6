"""What was seen in a photograph, drawn onto it."""

from collections.abc import Sequence

import cv2
import numpy as np

from morphoscope.classify.gestalt.alignment import Template
from morphoscope.classify.gestalt.preparation import Face
from morphoscope.classify.gestalt.regions import PARTS, part_masks
from morphoscope.cohort.face_mesh import LEFT_EYE, LIPS, OVAL, RIGHT_EYE

_GOOD, _FLAGGED, _MESH = (0, 150, 90), (210, 80, 0), (255, 255, 255)
_TINT = 0.35  # opacity of a part's colour
_MIN_SIDE, _MAX_SIDE = 400, 1600  # pixels of the drawing's longer side: readable, and small enough to show


def draw_faces(image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    """The photograph with the box, the number (from 1) and the mesh of each face; uint8 RGB.

    Boxes are green, or orange for faces with a flag about their quality. Small photographs are enlarged.

    Args:
        image: uint8 RGB [H, W, 3], in which the faces were found.
    """
    longer = max(image.shape[:2])
    scale = float(np.clip(longer, _MIN_SIDE, _MAX_SIDE)) / longer
    drawn = cv2.resize(
        image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    thick = max(1, round(max(drawn.shape) / 400))
    for number, face in enumerate(faces, 1):
        colour = _FLAGGED if face.quality.flags else _GOOD
        left, top, right, bottom = (int(value) for value in np.round(face.detection.box * scale))
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, thick)
        _write_number(drawn, number, (max(left, 0), max(top, 0)), colour)
        points = np.round(face.landmarks.points[:, :2] * scale).astype(np.int32)
        for x, y in points.tolist():
            cv2.circle(drawn, (x, y), max(thick // 2, 0), _MESH, -1)
        outlines = [points[group] for group in (OVAL, LEFT_EYE, RIGHT_EYE, LIPS)]
        cv2.polylines(drawn, outlines, True, colour, 1, cv2.LINE_AA)
    return drawn


def _write_number(
    drawn: np.ndarray, number: int, corner: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """Write a face's number in white on its colour, below and to the right of a corner."""
    font, longer = cv2.FONT_HERSHEY_SIMPLEX, max(drawn.shape)
    size, thick = longer / 700, max(1, round(longer / 350))
    (width, height), _ = cv2.getTextSize(str(number), font, size, thick)
    left, top = corner
    margin = 2 * thick
    cv2.rectangle(drawn, corner, (left + width + 2 * margin, top + height + 2 * margin), colour, -1)
    place = (left + margin, top + height + margin)
    cv2.putText(drawn, str(number), place, font, size, (255, 255, 255), thick, cv2.LINE_AA)


def draw_parts(
    face: Face, template: Template, colours: Sequence[tuple[int, int, int]], side: int
) -> np.ndarray:
    """The aligned face with each of `PARTS` tinted and outlined in its colour; uint8 RGB [side, side, 3].

    Args:
        template: what the face is aligned to.
        colours: RGB 0 to 255, one for each part.
    """
    scale = side / template.size
    drawn = cv2.resize(face.aligned(template), (side, side), interpolation=cv2.INTER_CUBIC)
    tinted = drawn.copy()
    masks = part_masks(face.aligned_points(template) * scale, side)
    for name, colour in zip(PARTS, colours, strict=True):
        tinted[masks[name]] = colour
    drawn = cv2.addWeighted(tinted, _TINT, drawn, 1 - _TINT, 0)
    for name, colour in zip(PARTS, colours, strict=True):
        outlines, _ = cv2.findContours(masks[name].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, colour, max(1, side // 200), cv2.LINE_AA)
    return drawn
