"""How well a photograph shows a face: size, sharpness, pose and what hides it."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from morphoscope.classify.gestalt.alignment import Template, warp
from morphoscope.classify.gestalt.detection import Detection
from morphoscope.classify.gestalt.landmarks import Landmarks
from morphoscope.cohort.face_mesh import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    canonical_face,
)

# Measured with the ORL faces (docs/lab-notes.md): what 99% of them pass, and most blurred or masked ones do
# not.
MIN_EYE_DISTANCE = 16.0
MIN_SHARPNESS = 0.03
MAX_YAW, MAX_PITCH = 35.0, 30.0
MIN_PRESENCE = 12.0
_EYES = ((LEFT_EYE_OUTER, LEFT_EYE_INNER), (RIGHT_EYE_INNER, RIGHT_EYE_OUTER))
_SIDE = 64
UPRIGHT = Template(_SIDE, _EYES, np.array([[20.0, 24.0], [44.0, 24.0]]))
"""An upright face of 64 pixels, by its eyes."""


Fault = Literal["small", "blurred", "sideways", "tilted", "hidden"]
"""What can speak against using a face: the head is turned `sideways`, or `tilted` up or down."""


@dataclass(frozen=True)
class Quality:
    """Measures of one face.

    Attributes:
        eye_distance: between the middles of the eyes, in pixels.
        sharpness: variance of the Laplacian of the face, as a fraction of the variance of its grey values.
        yaw: degrees by which the face is turned to its left (to the viewer's right); 0 is frontal.
        pitch: degrees by which it looks up.
        roll: degrees by which it is inclined in the image, clockwise; alignment removes it.
        presence: of the mesh, see `Landmarks`; low where something hides the face.
        detection: score of the detector, in [0, 1].
    """

    eye_distance: float
    sharpness: float
    yaw: float
    pitch: float
    roll: float
    presence: float
    detection: float

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What speaks against using this face; empty if nothing does."""
        findings: dict[Fault, bool] = {
            "small": self.eye_distance < MIN_EYE_DISTANCE,
            "blurred": self.sharpness < MIN_SHARPNESS,
            "sideways": abs(self.yaw) > MAX_YAW,
            "tilted": abs(self.pitch) > MAX_PITCH,
            "hidden": self.presence < MIN_PRESENCE,
        }
        return tuple(fault for fault, applies in findings.items() if applies)

    @property
    def flags(self) -> tuple[str, ...]:
        """The faults in words."""
        words: dict[Fault, str] = {
            "small": f"small ({self.eye_distance:.0f} pixels between the eyes, fewer than "
            f"{MIN_EYE_DISTANCE:.0f})",
            "blurred": f"blurred (sharpness {self.sharpness:.3f}, below {MIN_SHARPNESS:.3f})",
            "sideways": f"turned sideways (yaw {self.yaw:.0f} degrees)",
            "tilted": f"looking up or down (pitch {self.pitch:.0f} degrees)",
            "hidden": f"partly hidden (presence {self.presence:.1f}, below {MIN_PRESENCE:.0f})",
        }
        return tuple(words[fault] for fault in self.faults)


def measure_quality(image: np.ndarray, detection: Detection, landmarks: Landmarks) -> Quality:
    """The measures of a face in an image, uint8 RGB [H, W, 3]."""
    left, right = (landmarks.points[list(eye), :2].mean(axis=0) for eye in _EYES)
    yaw, pitch, roll = _pose(landmarks.points)
    return Quality(
        eye_distance=float(np.hypot(*(right - left))),
        sharpness=_sharpness(image, landmarks.points),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        presence=landmarks.presence,
        detection=detection.score,
    )


def _sharpness(image: np.ndarray, points: np.ndarray) -> float:
    grey = cv2.cvtColor(warp(image, UPRIGHT.transform(points), _SIDE), cv2.COLOR_RGB2GRAY).astype(np.float64)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var() / max(grey.var(), 1.0))


def _pose(points: np.ndarray) -> tuple[float, float, float]:
    """(yaw, pitch, roll) in degrees: of the rotation from the canonical face to the mesh (Kabsch 1976)."""
    mean = canonical_face().points
    seen = points * [1, -1, 1]  # y up, as in the canonical face
    rotation, _ = Rotation.align_vectors(seen - seen.mean(axis=0), mean - mean.mean(axis=0))
    yaw, pitch, roll = rotation.as_euler("YXZ", degrees=True)
    return float(yaw), float(-pitch), float(-roll)
