"""Skin, light and camera of the phantom cohort: from a skin tone and findings to a photograph.

Pigments act as filters: they add to the optical density, the negative logarithm of the reflected linear light
(Beer-Lambert), so that a lesion looks plausible on every skin tone.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.phantom.fields import Field, coordinates, rotated, smooth_noise
from morphoscope.cohort.phantom.lesions import Finding

LIGHTEST, DARKEST = 60.0, -50.0
"""Range of skin tones as individual typology angle (ITA) in degrees: very light is > 55, dark < -30."""

# CIELAB a* and b* of constitutive skin along the ITA axis; L* = 50 + b* tan(ITA), the definition of the ITA.
_ITA = [-50.0, -30.0, 0.0, 20.0, 35.0, 50.0, 62.0]
_A = [11.0, 12.5, 13.5, 13.0, 12.0, 10.5, 9.0]
_B = [14.5, 18.0, 21.0, 21.0, 20.0, 18.0, 15.5]

# CIELAB of skin without melanin: slightly lighter than the lightest constitutive skin.
_BARE_SKIN = (87.0, 8.0, 13.0)

# Extinction in red, green and blue relative to green: melanin's falls steadily towards red, blood's sharply.
_MELANIN = np.array([0.68, 1.0, 1.38], np.float32).reshape(3, 1, 1)
_BLOOD = np.array([0.16, 1.0, 0.8], np.float32).reshape(3, 1, 1)
_HAIR = np.array([0.95, 1.05, 1.15], np.float32).reshape(3, 1, 1)


@dataclass(frozen=True)
class Person:
    """What all photographs of one phantom patient share.

    Attributes:
        skin_tone: ITA in degrees.
        flush: overall redness, in units of optical density.
        hairs: expected number of hairs in view.
        hair_direction: radians.
        light: tint of the light, [3], natural logarithm for red, green, blue.
    """

    skin_tone: float
    flush: float
    hairs: float
    hair_direction: float
    light: NDArray[np.float32]

    @classmethod
    def draw(cls, rng: np.random.Generator, skin_tone: float) -> "Person":
        """Draw a person of the given skin tone."""
        return cls(
            skin_tone=skin_tone,
            flush=rng.uniform(-0.03, 0.06),
            hairs=rng.uniform(1, 4) if rng.uniform() < 0.4 else 0.0,
            hair_direction=rng.uniform(0, np.pi),
            light=rng.normal(0, 0.014, 3).astype(np.float32),
        )


def skin_colour(ita: float) -> NDArray[np.float32]:
    """Linear-light sRGB [3] in [0, 1] of healthy skin of the given ITA (degrees)."""
    a, b = float(np.interp(ita, _ITA, _A)), float(np.interp(ita, _ITA, _B))
    return _lab_to_linear(50 + b * np.tan(np.radians(ita)), a, b)


def photograph(
    rng: np.random.Generator, person: Person, findings: list[Finding], size: int
) -> NDArray[np.uint8]:
    """Photograph a patch of skin: uint8 RGB [size, size, 3].

    The findings' weights are [2 * size, 2 * size]: all is drawn at twice the resolution and averaged.
    """
    density = _skin_density(rng, person, 2 * size)
    bare = -np.log(_lab_to_linear(*_BARE_SKIN)).reshape(3, 1, 1)
    # Dark skin needs more pigment for a visible difference.
    gain = np.float32(np.interp(person.skin_tone, [DARKEST, 20], [1.35, 1.0]))
    # Light skin has little pigment to lose, so the loss is more complete there.
    contrast = np.interp(person.skin_tone, [20, LIGHTEST], [0.0, 0.6])
    for finding in findings:
        weight = finding.weight
        if finding.loss:
            loss = np.float32(finding.loss + (1 - finding.loss) * contrast)
            density += loss * weight * (bare - density)
        if finding.melanin or finding.blood:
            density += weight * (gain * (finding.melanin * _MELANIN + finding.blood * _BLOOD))
    if person.hairs:
        density += _hair(rng, person, 2 * size) * _HAIR
    # The camera exposes dark skin longer; light skin must not be overexposed.
    exposure = np.float32(np.interp(person.skin_tone, [DARKEST, 20, LIGHTEST], [0.3, 0.2, 0.07]))
    light = np.exp(exposure + _shading(rng, 2 * size) + person.light.reshape(3, 1, 1) - density)
    return _camera(rng, light, size)


def _skin_density(rng: np.random.Generator, person: Person, size: int) -> NDArray[np.float32]:
    """Optical density of healthy skin, float32 [3, size, size]: tone, mottling and fine relief."""
    melanin = np.float32(0.035) * smooth_noise(rng, 5, size)
    blood = np.float32(person.flush) + np.float32(0.03) * smooth_noise(rng, 7, size)
    relief = np.float32(0.014) * smooth_noise(rng, 36, size) + np.float32(0.012) * smooth_noise(rng, 72, size)
    base = -np.log(skin_colour(person.skin_tone)).reshape(3, 1, 1)
    return base + relief + melanin * _MELANIN + blood * _BLOOD


def _shading(rng: np.random.Generator, size: int) -> Field:
    """Log intensity of the light on a gently curved body part, float32 [size, size]."""
    x, y = coordinates(size)
    along, across = rotated(x - np.float32(0.5), y - np.float32(0.5), rng.uniform(0, 2 * np.pi))
    slope, curve, vignette = rng.uniform(0.05, 0.3), rng.uniform(0.0, 0.5), rng.uniform(0.1, 0.3)
    shade = (
        np.float32(slope) * along - np.float32(curve + vignette) * along**2 - np.float32(vignette) * across**2
    )
    return shade + np.float32(rng.normal(0, 0.05))


def _hair(rng: np.random.Generator, person: Person, size: int) -> Field:
    """Density of a few thin, soft, slightly bent hairs, float32 [size, size]."""
    canvas = np.zeros((size, size), np.uint8)
    t = np.linspace(0, 1, 12)[:, None]
    for _ in range(rng.poisson(person.hairs)):
        start = rng.uniform(0, 1, 2)
        angle = person.hair_direction + rng.normal(0, 0.25)
        step = rng.uniform(0.15, 0.35) * np.array([np.cos(angle), np.sin(angle)])
        sideways = rng.normal(0, 0.12) * step[::-1] * [1, -1]
        curve = start + t * step + 4 * t * (1 - t) * sideways
        points = np.round(curve * size * 16).astype(np.int32)
        shade = int(rng.uniform(120, 220))
        cv2.polylines(canvas, [points], False, shade, max(1, round(size / 256)), cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), 0.0025 * size), np.float32)


def _camera(rng: np.random.Generator, light: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Focus, sampling, sRGB encoding and sensor noise: linear light [3, 2s, 2s] => uint8 [s, s, 3]."""
    fine = cv2.merge(list(light))
    focused = cv2.GaussianBlur(fine, (0, 0), rng.uniform(0.001, 0.004) * fine.shape[0])
    sampled = cv2.resize(focused, (size, size), interpolation=cv2.INTER_AREA)
    encoded = 1.055 * np.clip(sampled, 1e-4, 1) ** np.float32(1 / 2.4) - np.float32(0.055)
    grain = np.float32(0.004) * rng.standard_normal((size, size, 3), dtype=np.float32)
    return np.clip(np.round((encoded + grain) * 255), 0, 255).astype(np.uint8)


def _lab_to_linear(lightness: float, a: float, b: float) -> NDArray[np.float32]:
    """CIELAB (D65, CIE 15:2004) to linear-light sRGB (IEC 61966-2-1), [3]."""
    fy = (lightness + 16) / 116
    f = np.array([fy + a / 500, fy, fy - b / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.95047, 1.0, 1.08883]
    matrix = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    return np.clip(matrix @ xyz, 1e-3, 1).astype(np.float32)
