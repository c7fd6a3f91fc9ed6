"""The seven phantom conditions: where the skin differs, and in which pigment.

The shapes follow the textbook descriptions of the conditions they are named after; they are drawings, not
patients. Pose and place vary little, as in photographs that follow a protocol, so that a small generator can
be trained on them within an hour or two on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from morphoscope.cohort.phantom.fields import (
    Field,
    coordinates,
    fractal_noise,
    inside,
    rotated,
    scatter,
    smooth_noise,
    warped,
)


@dataclass(frozen=True)
class Finding:
    """One kind of change of the skin.

    Attributes:
        weight: float32 [S, S] in [0, 1], how far each point is changed; the lesion mask is `weight >= 0.5`.
        melanin: added melanin, in units of optical density of the green channel.
        blood: added haemoglobin (redness), same unit.
        loss: fraction of the skin's own pigment that is missing, in [0, 1].
    """

    weight: Field
    melanin: float = 0.0
    blood: float = 0.0
    loss: float = 0.0


@dataclass(frozen=True)
class Traits:
    """What the images of one phantom patient share, each in [0, 1]; conditions use it in their own ways."""

    strength: float
    scale: float
    count: float

    def between(self, name: str, low: float, high: float) -> float:
        """The trait `name`, mapped onto [low, high]."""
        return low + (high - low) * float(getattr(self, name))


# Places of patches, in image widths; the first few are drawn, each slightly displaced.
_NF1_PLACES = ((0.28, 0.27), (0.72, 0.7), (0.7, 0.26), (0.27, 0.72), (0.5, 0.49))
_TSC_PLACES = ((0.3, 0.3), (0.7, 0.34), (0.34, 0.73), (0.73, 0.76))
_JITTER = 0.03  # standard deviation, image widths

Condition = Callable[[np.random.Generator, Traits, int], list[Finding]]


def hypomelanosis_of_ito(rng: np.random.Generator, traits: Traits, size: int) -> list[Finding]:
    """HMI: broad pale streaks that form a whorl along Blaschko's lines."""
    x, y = warped(rng, 3, 0.02, size)
    dx, dy = x - np.float32(rng.uniform(0.45, 0.55)), y - np.float32(rng.uniform(0.45, 0.55))
    radius = np.hypot(dx, dy)
    turns = np.arctan2(dy, dx) / np.float32(2 * np.pi)
    phase = np.float32(traits.between("scale", 2.5, 2.2)) * radius + turns
    return [Finding(_streaks(rng, phase, 0.12, 4, size), loss=traits.between("strength", 0.75, 0.95))]


def incontinentia_pigmenti(rng: np.random.Generator, traits: Traits, size: int) -> list[Finding]:
    """IP: narrow, dark, parallel streaks that swirl, as if drawn with a wet brush."""
    x, y = warped(rng, 3, 0.02, size)
    along, across = rotated(x - np.float32(0.5), y - np.float32(0.5), 0.6 + rng.uniform(-0.12, 0.12))
    bend = np.float32(rng.uniform(0.08, 0.11)) * np.sin(
        np.float32(2 * np.pi) * along + np.float32(rng.uniform(-0.4, 0.4))
    )
    phase = np.float32(traits.between("scale", 3.3, 3.0)) * (across + bend) + np.float32(
        rng.uniform(-0.12, 0.12)
    )
    return [Finding(_streaks(rng, phase, 0.15, 4, size), melanin=traits.between("strength", 1.0, 1.4))]


def mccune_albright(rng: np.random.Generator, traits: Traits, size: int) -> list[Finding]:
    """MA: one large light-brown patch with a ragged border, the "coast of Maine"."""
    x, y = coordinates(size)
    angle = rng.uniform(-0.5, 0.5)
    offset = rng.uniform(0.0, 0.15)
    along, across = rotated(x - np.float32(0.5), y - np.float32(0.5), angle)
    stretch = np.float32(rng.uniform(0.7, 0.95))
    distance = np.hypot((along - np.float32(offset)) / stretch, across * stretch)
    coast = fractal_noise(rng, 4, 5, 0.75, size)
    rim = np.float32(traits.between("scale", 0.34, 0.4)) + np.float32(0.05) * coast
    weight = inside(distance - rim, 0.009)
    return [Finding(weight, melanin=traits.between("strength", 0.8, 1.1))]


def multiple_lentigines(rng: np.random.Generator, traits: Traits, size: int) -> list[Finding]:
    """ML: many small dark round spots, scattered evenly."""
    number = int(traits.between("count", 26, 40))
    radii = traits.between("scale", 0.022, 0.027) * np.exp(rng.normal(0, 0.28, number))
    weight = _spots(rng, scatter(rng, radii, 0.05, 0.0), size)
    return [Finding(weight, melanin=traits.between("strength", 1.4, 1.9))]


def neurofibromatosis_1(rng: np.random.Generator, traits: Traits, size: int) -> list[Finding]:
    """NF1: several even café-au-lait patches, oval and smooth-edged."""
    places = _NF1_PLACES[: round(traits.between("count", 4, 5))]
    weight = np.zeros((size, size), np.float32)
    x, y = warped(rng, 4, 0.008, size)
    for cx, cy in _jittered(rng, places):
        radius = rng.uniform(0.11, 0.14) * traits.between("scale", 0.9, 1.1)
        along, across = rotated(x - np.float32(cx), y - np.float32(cy), rng.uniform(0, np.pi))
        stretch = np.float32(rng.uniform(1.0, 1.25))
        distance = np.hypot(along / stretch, across * stretch) - np.float32(radius)
        weight = np.maximum(weight, inside(distance, 0.014))
    return [Finding(weight, melanin=traits.between("strength", 0.8, 1.1))]


def tuberous_sclerosis(rng: np.random.Generator, traits: Traits, size: int) -> list[Finding]:
    """TSC: a few pale patches in the shape of an ash leaf, round at one end and pointed at the other."""
    places = _TSC_PLACES[: round(traits.between("count", 3, 4))]
    weight = np.zeros((size, size), np.float32)
    x, y = warped(rng, 4, 0.006, size)
    fray = np.float32(0.004) * smooth_noise(rng, 28, size)
    for cx, cy in _jittered(rng, places):
        length = rng.uniform(0.21, 0.25) * traits.between("scale", 0.9, 1.1)
        angle = 0.9 + rng.normal(0, 0.15)
        along, across = rotated(x - np.float32(cx), y - np.float32(cy), angle)
        u = np.clip(along / np.float32(length), -1, 1)
        half_width = np.float32(0.36 * length) * np.sqrt(1 + u) * (1 - u)
        distance = np.maximum(np.abs(across) - half_width, np.abs(along) - np.float32(length))
        weight = np.maximum(weight, inside(distance + fray, 0.016))
    return [Finding(weight, loss=traits.between("strength", 0.75, 0.95))]


def other(rng: np.random.Generator, traits: Traits, size: int) -> list[Finding]:
    """Other: non-specific findings, a diffuse redness, sometimes with a scratch or a few moles."""
    findings = [_redness(rng, traits, size)]
    for kind in (_scratch, _moles):
        if rng.uniform() < 0.35:
            findings.append(kind(rng, traits, size))
    return findings


CONDITIONS: dict[str, Condition] = {
    "HMI": hypomelanosis_of_ito,
    "IP": incontinentia_pigmenti,
    "MA": mccune_albright,
    "ML": multiple_lentigines,
    "NF1": neurofibromatosis_1,
    "TSC": tuberous_sclerosis,
    "Other": other,
}
"""Drawing function by condition name. The order is part of the random seed: append, never reorder."""


def _jittered(rng: np.random.Generator, places: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """The places, each slightly displaced."""
    return [(cx + rng.normal(0, _JITTER), cy + rng.normal(0, _JITTER)) for cx, cy in places]


def _streaks(rng: np.random.Generator, phase: Field, ragged: float, cells: int, size: int) -> Field:
    """Soft bands, one per unit of `phase`, that swell, thin out and break off.

    Args:
        ragged: strength of the fine noise that frays the edges.
        cells: coarseness of the gaps along the streaks.
    """
    width = np.float32(0.55) * smooth_noise(rng, cells, size) - np.float32(0.45)
    frayed = np.float32(ragged) * fractal_noise(rng, 14, 2, 0.8, size)
    return inside(-(np.cos(np.float32(2 * np.pi) * phase) + np.minimum(width, 0.1) + frayed), 0.42)


def _spots(rng: np.random.Generator, discs: list[tuple[float, float, float]], size: int) -> Field:
    """Slightly oval spots with soft rims at the given (x, y, radius)."""
    fraction = 4  # bits of sub-pixel precision in OpenCV's drawing
    drawn = max(size, 256)  # OpenCV's ellipses of a pixel or two are crosses
    canvas = np.zeros((drawn, drawn), np.uint8)
    unit = drawn * 2**fraction
    for cx, cy, radius in discs:
        ratio = rng.uniform(0.85, 1.18)
        axes = (round(radius * ratio * unit), round(radius / ratio * unit))
        centre = (round(cx * unit), round(cy * unit))
        cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA, fraction)
    soft = cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), 0.004 * drawn)
    return np.asarray(cv2.resize(soft, (size, size), interpolation=cv2.INTER_AREA))


def _redness(rng: np.random.Generator, traits: Traits, size: int) -> Finding:
    """A diffuse red area."""
    x, y = coordinates(size)
    cx, cy = rng.uniform(0.43, 0.57, 2)
    distance = np.hypot(x - np.float32(cx), y - np.float32(cy)) + np.float32(0.03) * smooth_noise(
        rng, 6, size
    )
    return Finding(
        inside(distance - np.float32(rng.uniform(0.15, 0.24)), 0.11),
        blood=traits.between("strength", 0.6, 0.9),
    )


def _scratch(rng: np.random.Generator, traits: Traits, size: int) -> Finding:
    """A thin red line, slightly bent and tapering."""
    x, y = warped(rng, 3, 0.012, size)
    along, across = rotated(
        x - np.float32(rng.uniform(0.35, 0.65)),
        y - np.float32(rng.uniform(0.35, 0.65)),
        rng.uniform(0, np.pi),
    )
    length = np.float32(rng.uniform(0.18, 0.32))
    half_width = np.float32(0.014) * (1 - (along / length) ** 2)
    return Finding(
        inside(np.abs(across) - half_width, 0.008), blood=traits.between("strength", 0.6, 0.9), melanin=0.1
    )


def _moles(rng: np.random.Generator, traits: Traits, size: int) -> Finding:
    """Two to four common moles."""
    radii = rng.uniform(0.018, 0.03, rng.integers(2, 5))
    return Finding(
        _spots(rng, scatter(rng, radii, 0.12, 0.12), size),
        melanin=traits.between("strength", 1.0, 1.5),
        blood=0.1,
    )
