"""What was seen in a photograph, drawn onto it."""

from collections.abc import Sequence

import cv2
import numpy as np

from morphoscope.classify.gestalt.preparation import Face
from morphoscope.cohort.face_mesh import LEFT_EYE, LIPS, OVAL, RIGHT_EYE

_GOOD, _FLAGGED, _MESH = (0, 150, 90), (210, 80, 0), (255, 255, 255)
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
        place = (max(left, 0) + 2 * thick, max(top, 0) + 14 * thick)
        cv2.putText(
            drawn, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, thick / 2, colour, thick, cv2.LINE_AA
        )
        points = np.round(face.landmarks.points[:, :2] * scale).astype(np.int32)
        for x, y in points.tolist():
            cv2.circle(drawn, (x, y), max(thick // 2, 0), _MESH, -1)
        outlines = [points[group] for group in (OVAL, LEFT_EYE, RIGHT_EYE, LIPS)]
        cv2.polylines(drawn, outlines, True, colour, 1, cv2.LINE_AA)
    return drawn
