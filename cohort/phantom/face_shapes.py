"""Changes of a face's shape: smooth shifts of mesh points, given on the canonical face."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.face_mesh import canonical_face


class Bump(NamedTuple):
    """A smooth shift around two places that mirror each other (or one, in the middle of the face).

    Attributes:
        x, y: place on the canonical face, in cm from its middle; y is up.
        reach: standard deviation of the Gaussian that the shift falls off with, in cm.
        outwards, upwards: shift in cm.
    """

    x: float
    y: float
    reach: float
    outwards: float
    upwards: float


def shifts(bumps: Sequence[Bump]) -> NDArray[np.float64]:
    """The sum of the shifts of each mesh point, float64 [468, 2] in cm; x to the right of the image, y up."""
    points = canonical_face().points.astype(np.float64)
    total = np.zeros((len(points), 2))
    for bump in bumps:
        distance = np.hypot(np.abs(points[:, 0]) - bump.x, points[:, 1] - bump.y)
        weight = np.exp(-((distance / bump.reach) ** 2) / 2)
        # In the middle of the face "outwards" has no direction: it fades within half a centimetre.
        side = np.tanh(points[:, 0] / 0.5)
        total += weight[:, None] * np.stack(
            [side * bump.outwards, np.full(len(points), bump.upwards)], axis=1
        )
    return total
