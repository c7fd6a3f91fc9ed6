"""Skin tones of phantoms: the colour of healthy skin, and how pigments show on it.

Tones are a continuous scale, the individual typology angle (ITA). The six rows of the table are the middle of
the six phototypes of Fitzpatrick, as their ITA is usually divided; between them everything is interpolated.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

LIGHTEST, DARKEST = 60.0, -50.0
"""Range of skin tones as ITA in degrees: very light is > 55, dark < -30."""

_PHOTOTYPES = ("I", "II", "III", "IV", "V", "VI")
_LIMITS = (-30.0, 10.0, 28.0, 41.0, 55.0)
"""ITA between VI and V, V and IV, and so on."""

# phototype:       VI      V     IV    III     II      I
_ITA = np.array([-45.0, -12.0, 19.0, 34.5, 48.0, 60.0])
_A = np.array([11.0, 13.2, 13.2, 12.2, 11.0, 9.2])  # CIELAB a* and b*; L* follows from the ITA
_B = np.array([15.0, 20.2, 21.2, 20.2, 18.4, 15.8])
_PIGMENT = np.array([1.6, 1.3, 1.1, 1.0, 1.0, 1.0])  # gain of added melanin: dark skin hides it
_REDNESS = np.array([0.75, 0.9, 1.0, 1.0, 1.0, 1.0])  # gain of blood: on dark skin redness is dusky
_LOSS = np.array([0.0, 0.0, 0.1, 0.3, 0.5, 0.65])  # light skin has little to lose, so the loss is complete
_GLOSS = np.array([1.1, 1.05, 1.0, 0.95, 0.9, 0.9])  # highlights stand out from dark skin
_HAIR = np.array([1.3, 1.25, 1.1, 1.0, 0.75, 0.6])  # density of hair

# CIELAB of skin without melanin: slightly lighter than the lightest constitutive skin.
_BARE_SKIN = (87.0, 8.0, 13.0)


class Tone:
    """The skin of one person.

    Attributes:
        ita: individual typology angle, degrees.
        density: optical density of healthy skin, float32 [3, 1, 1]: minus the natural logarithm of the
            reflected linear light in red, green and blue.
        pigment, redness, gloss, hair: gains of added melanin, of blood, of highlights and of hair.
        loss: how much more complete a loss of pigment is than drawn, from 0 (as drawn) to 1 (complete).
    """

    def __init__(self, ita: float) -> None:
        self.ita = ita
        self.density = -np.log(skin_colour(ita)).reshape(3, 1, 1)
        self.pigment, self.redness, self.gloss, self.hair, self.loss = (
            float(np.interp(ita, _ITA, table)) for table in (_PIGMENT, _REDNESS, _GLOSS, _HAIR, _LOSS)
        )

    @property
    def exposure(self) -> float:
        """Natural logarithm: the camera exposes dark skin longer, and light skin must not be overexposed."""
        return float(np.interp(self.ita, [DARKEST, 20, LIGHTEST], [0.3, 0.2, 0.07]))


def phototype(ita: float) -> str:
    """Fitzpatrick's phototype, "I" (very light) to "VI" (very dark), of an ITA in degrees."""
    return _PHOTOTYPES[-1 - int(np.searchsorted(_LIMITS, ita))]


def skin_colour(ita: float) -> NDArray[np.float32]:
    """Linear-light sRGB [3] in [0, 1] of healthy skin of the given ITA (degrees)."""
    a, b = float(np.interp(ita, _ITA, _A)), float(np.interp(ita, _ITA, _B))
    return _lab_to_linear(50 + b * np.tan(np.radians(ita)), a, b)  # the definition of the ITA


def _lab_to_linear(lightness: float, a: float, b: float) -> NDArray[np.float32]:
    """CIELAB (D65) to linear-light sRGB, [3]."""
    lab = np.array([[[lightness, a, b]]], np.float32)
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2LRGB)[0, 0], 1e-3, 1).astype(np.float32)


BARE_DENSITY = -np.log(_lab_to_linear(*_BARE_SKIN)).reshape(3, 1, 1)
"""Optical density of skin without melanin, float32 [3, 1, 1]."""
