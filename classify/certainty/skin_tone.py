"""The tone of the skin around a lesion, measured as individual typology angle."""

import cv2
import numpy as np

_RING = 0.08  # width of the border that is looked at, of the image's shorter side
_LIGHTNESS = (10.0, 97.0)  # darker: corners that a lens or letterbox left black; lighter: glare
_LEAST_PIXELS = 0.2  # as many as this share of the ring must be left

CATEGORIES = {
    "very light": 55.0,
    "light": 41.0,
    "intermediate": 28.0,
    "tan": 10.0,
    "brown": -30.0,
    "dark": -np.inf,
}
"""Name and the angle (degrees) above which it begins: Chardon et al. 1991, Del Bino and Bernerd 2013."""


def typology_angle(image: np.ndarray, lesion: np.ndarray | None = None) -> float:
    """ITA = arctan((L* - 50) / b*), degrees, of the skin's median colour, CIELAB under D65.

    Meant for a dermatoscopic or focused photograph: skin is what lies outside the lesion or, where that is
    not known, the image's border, so that a lesion that fills the picture is measured itself. Light and
    camera are not calibrated: the same arm differs by tens of degrees between two cameras. So an angle ranks
    the photographs of one cohort; it does not type a patient.

    Args:
        image: uint8 [H, W, 3], sRGB.
        lesion: bool [H, W], True inside; None, or True nowhere: not known.

    Returns:
        NaN where too little skin is left, or too little of it is neither black nor burnt out.
    """
    border = _border(image.shape[:2])
    skin = border if lesion is None or not lesion.any() else ~lesion
    least = _LEAST_PIXELS * border.sum()
    if skin.sum() < least:  # OpenCV refuses to convert no pixel at all
        return float("nan")
    lab = cv2.cvtColor((image[skin][None] / np.float32(255)).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    usable = lab[(lab[:, 0] > _LIGHTNESS[0]) & (lab[:, 0] < _LIGHTNESS[1])]
    if len(usable) < least:
        return float("nan")
    lightness, _, yellow = np.median(usable, axis=0)
    # Bluish light can make b* negative; the angle then goes on beyond 90 degrees, as for very light skin.
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))


def _border(shape: tuple[int, int]) -> np.ndarray:
    """The ring along an image's sides: bool [H, W]."""
    height, width = shape
    ring = max(1, round(_RING * min(height, width)))
    border = np.ones((height, width), bool)
    border[ring : height - ring, ring : width - ring] = False
    return border


def category(angle: float) -> str | None:
    """Name of a skin tone by its ITA in degrees; None for NaN."""
    return next((name for name, low in CATEGORIES.items() if angle > low), None)
