"""The tone of the skin around a lesion, measured as individual typology angle."""

import cv2
import numpy as np

_RING = 0.08  # width of the border that is measured, relative to the image's shorter side
_LIGHTNESS = (10.0, 97.0)  # L*; darker are black corners of a lens or letterbox, lighter is glare
_LEAST_PIXELS = 0.2  # minimum number of usable pixels, relative to the border's

CATEGORIES = {
    "very light": 55.0,
    "light": 41.0,
    "intermediate": 28.0,
    "tan": 10.0,
    "brown": -30.0,
    "dark": -np.inf,
}
"""Name: lower end of the angle, degrees (Chardon et al. 1991, Del Bino and Bernerd 2013)."""


def typology_angle(image: np.ndarray, lesion: np.ndarray | None = None) -> float:
    """Individual typology angle of the skin's median colour: ITA = arctan((L* - 50) / b*), CIELAB under D65.

    For a dermatoscopic or focused photograph: the skin is the area outside the lesion or, if the lesion is
    not known, the image's border, so that a lesion that fills the image is measured itself. Light and camera
    are not calibrated: the same arm differs by tens of degrees between two cameras. An angle therefore ranks
    the photographs of one cohort; it does not classify a patient.

    Args:
        image: uint8 [H, W, 3], sRGB.
        lesion: bool [H, W], True inside; None, or nowhere True, if not known.

    Returns:
        Degrees; NaN if there is too little skin, or too little of it is neither black nor overexposed.
    """
    border = _border(image.shape[:2])
    skin = border if lesion is None or not lesion.any() else ~lesion
    least = _LEAST_PIXELS * border.sum()
    if skin.sum() < least:  # OpenCV cannot convert an empty array
        return float("nan")
    lab = cv2.cvtColor((image[skin][None] / np.float32(255)).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    usable = lab[(lab[:, 0] > _LIGHTNESS[0]) & (lab[:, 0] < _LIGHTNESS[1])]
    if len(usable) < least:
        return float("nan")
    lightness, _, yellow = np.median(usable, axis=0)
    # Bluish light can make b* negative; the angle then exceeds 90 degrees, as for very light skin.
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
