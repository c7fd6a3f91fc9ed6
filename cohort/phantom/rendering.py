"""Light and camera of phantoms: from a person, a site and findings to a photograph.

Pigments act as filters: they add to the optical density, the negative logarithm of the reflected linear light
(Beer-Lambert), so that a lesion looks plausible on every skin tone. One height field of body, skin relief and
raised lesions is lit by one light.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.phantom.conditions import Finding
from morphoscope.cohort.phantom.fields import Field, coordinates, inside, smooth_noise
from morphoscope.cohort.phantom.sites import Scene
from morphoscope.cohort.phantom.tones import BARE_DENSITY, Tone

# Extinction in red, green and blue relative to green: melanin's falls steadily towards red, blood's sharply.
# Melanin in the dermis is seen through scattering tissue, and looks grey.
_MELANIN = np.array([0.68, 1.0, 1.38], np.float32).reshape(3, 1, 1)
_DERMAL = np.array([0.95, 1.0, 0.9], np.float32).reshape(3, 1, 1)
_BLOOD = np.array([0.16, 1.0, 0.8], np.float32).reshape(3, 1, 1)
_HAIR = np.array([0.95, 1.05, 1.15], np.float32).reshape(3, 1, 1)
# Light that enters the skin comes out redder: shadows are warm.
_SHADOW_TINT = np.array([0.88, 1.06, 1.1], np.float32).reshape(3, 1, 1)


@dataclass(frozen=True)
class Person:
    """What all photographs of one phantom patient share.

    Attributes:
        tone: of the skin.
        flush: overall redness, in units of optical density.
        hairs: expected number of hairs in a focused view.
        hair_direction: radians.
        relief: roughness of the skin, 1 on average.
        gloss: strength of highlights.
    """

    tone: Tone
    flush: float
    hairs: float
    hair_direction: float
    relief: float
    gloss: float

    @classmethod
    def draw(cls, rng: np.random.Generator, ita: float) -> "Person":
        """Draw a person of the given skin tone (ITA in degrees)."""
        tone = Tone(ita)
        return cls(
            tone=tone,
            flush=rng.uniform(-0.03, 0.06),
            hairs=rng.uniform(4, 30) if rng.uniform() < 0.4 else 0.0,
            hair_direction=rng.normal(np.pi / 2, 0.4),
            relief=rng.uniform(0.6, 1.4),
            gloss=tone.gloss * rng.uniform(0.01, 0.06),
        )


def photograph(
    rng: np.random.Generator, person: Person, scene: Scene, findings: list[Finding]
) -> NDArray[np.uint8]:
    """Photograph a patch of skin: uint8 RGB [S, S, 3], S the size of the scene."""
    density = _skin(rng, person, scene)
    for finding in findings:
        _add(density, finding, person.tone)
    if person.hairs:
        density += np.float32(person.tone.hair) * _hair(rng, person, scene) * _HAIR
    diffuse, highlight = _lighting(rng, person, scene, findings)
    tint = rng.normal(0, 0.02, 3).astype(np.float32).reshape(3, 1, 1)
    light = np.exp(np.float32(person.tone.exposure) + tint + diffuse * _SHADOW_TINT - density) + highlight
    if scene.body is not None:
        light = light * scene.body + _background(rng, scene) * (1 - scene.body)
    return _camera(rng, light)


def _add(density: NDArray[np.float32], finding: Finding, tone: Tone) -> None:
    """Change the density by a finding, in place."""
    if finding.loss:
        loss = np.float32(finding.loss + (1 - finding.loss) * tone.loss)
        density += loss * finding.weight * (BARE_DENSITY - density)
    added = (
        np.float32(tone.pigment * finding.melanin) * _MELANIN
        + np.float32(tone.pigment * finding.dermal) * _DERMAL
        + np.float32(tone.redness * finding.blood) * _BLOOD
    )
    if added.any():
        density += finding.weight * added


def _skin(rng: np.random.Generator, person: Person, scene: Scene) -> NDArray[np.float32]:
    """Optical density of healthy skin, float32 [3, S, S]: tone and mottling."""
    melanin = np.float32(0.035) * smooth_noise(rng, 5, scene.size)
    melanin += np.float32(0.018) * smooth_noise(rng, 40, scene.size)
    blood = np.float32(person.flush) + np.float32(0.035) * smooth_noise(rng, 8, scene.size)
    density = person.tone.density + melanin * _MELANIN + blood * _BLOOD
    return density + np.float32(0.7) * scene.shadow() * (0.5 * _MELANIN + 0.5 * _BLOOD)


def _lighting(
    rng: np.random.Generator, person: Person, scene: Scene, findings: list[Finding]
) -> tuple[Field, Field]:
    """Log intensity of the diffuse light, and the reflection of the lamp; each float32 [S, S]."""
    size = scene.size
    height = scene.height() * np.float32(scene.zoom)
    relief = np.float32(0.0006) * smooth_noise(rng, 34, size) + np.float32(0.0004) * smooth_noise(
        rng, 76, size
    )
    height += np.float32(person.relief) * relief
    for finding in findings:
        if finding.height is not None:
            height += finding.height
    slope_x, slope_y = (
        np.float32(size / 8) * cv2.Sobel(height, cv2.CV_32F, *axes) for axes in ((1, 0), (0, 1))
    )
    steepness = np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    towards, elevation = rng.normal(-np.pi / 2, 0.7), rng.uniform(0.85, 1.25)
    lx, ly, lz = (
        np.float32(value)
        for value in (
            np.cos(elevation) * np.cos(towards),
            np.cos(elevation) * np.sin(towards),
            np.sin(elevation),
        )
    )
    facing = (lz - lx * slope_x - ly * slope_y) / steepness
    ambient = np.float32(rng.uniform(0.35, 0.55))
    diffuse = np.log(ambient + (1 - ambient) * np.clip(facing / lz, 0.05, 1.6))
    # Halfway between lamp and camera (Blinn-Phong); the camera looks straight down.
    norm = np.float32(np.sqrt(2 + 2 * lz))
    halfway = np.clip(((lz + 1) - lx * slope_x - ly * slope_y) / (steepness * norm), 0, 1)
    highlight = np.float32(person.gloss) * cv2.pow(halfway, rng.uniform(25, 60))
    x, y = coordinates(size)
    half = np.float32(0.5)
    vignette = np.float32(rng.uniform(0.05, 0.3)) * ((x - half) ** 2 + (y - half) ** 2)
    return diffuse - vignette + np.float32(rng.normal(0, 0.05)), highlight


def _hair(rng: np.random.Generator, person: Person, scene: Scene) -> Field:
    """Density of thin, soft, bent hairs, float32 [S, S]."""
    size, zoom = scene.size, scene.zoom
    canvas = np.zeros((size, size), np.uint8)
    t = np.linspace(0, 1, 10)[:, None]
    for _ in range(rng.poisson(person.hairs / zoom)):
        start = rng.uniform(-0.1, 1, 2)
        angle = person.hair_direction + scene.site.angle + rng.normal(0, 0.25)
        step = zoom * rng.uniform(0.08, 0.22) * np.array([np.cos(angle), np.sin(angle)])
        curve = start + t * step + 4 * t * (1 - t) * rng.normal(0, 0.15) * step[::-1] * [1, -1]
        points = np.round(curve * size * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, int(rng.uniform(70, 170)), max(1, size // 256), cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), 0.002 * size), np.float32)


def _background(rng: np.random.Generator, scene: Scene) -> NDArray[np.float32]:
    """A cloth behind the body, in the shadow of it: linear light, float32 [3, S, S]."""
    grey = rng.uniform(0.08, 0.5)
    colour = grey * np.exp(rng.normal([-0.06, 0.0, 0.06], 0.07))
    outside = np.abs(scene.u) - np.float32(scene.site.half_width)
    shadow = 1 - np.float32(0.5) * inside(outside - np.float32(0.02), 0.1)
    folds = np.float32(1) + np.float32(0.06) * smooth_noise(rng, 4, scene.size)
    return colour.astype(np.float32).reshape(3, 1, 1) * (shadow * folds)


def _camera(rng: np.random.Generator, light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Focus, sRGB encoding, sensor noise and JPEG: linear light [3, S, S] => uint8 [S, S, 3]."""
    size = light.shape[1]
    # OpenCV's images are blue, green, red.
    focused = cv2.GaussianBlur(cv2.merge(list(light[::-1])), (0, 0), rng.uniform(0.0012, 0.0035) * size)
    encoded = 269.025 * cv2.pow(np.clip(focused, 1e-4, 1), 1 / 2.4) - np.float32(14.025)
    top, left = (int(size * start) for start in rng.uniform(size=2))
    grain = _grain(2 * size)[top : top + size, left : left + size, None]
    exposed = np.clip(np.rint(encoded + np.float32(rng.uniform(0.5, 1.6)) * grain), 0, 255).astype(np.uint8)
    quality = int(rng.integers(70, 96))
    packed = cv2.imencode(".jpg", exposed, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1])


@lru_cache(maxsize=1)
def _grain(size: int) -> Field:
    """A sheet of unit noise of which every photograph shows another part, because noise is slow to draw."""
    return np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
