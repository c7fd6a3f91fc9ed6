"""How lesions are arranged on the body: scattered, crowded at a fold, along lines, on one side.

Blaschko's lines are those that pigment cells take as the embryo grows: a V over the spine, S-shaped on the
flanks, along the limbs, with whorls between. They are drawn as the level lines of a smooth field.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.phantom.fields import Field, inside, smooth_noise
from morphoscope.cohort.phantom.sites import BACK, FACE, LIMB, Scene

_TRIES = 30
_REACH = 1.6  # the body coordinates that the lines cover, to either side
_TEXTURE = 512  # side of the noise that is read along lines


def scattered(
    rng: np.random.Generator, radii: NDArray[np.float64], gap: float, margin: float
) -> list[tuple[float, float, float]]:
    """Place discs of the given radii, largest first, without overlap.

    Args:
        radii: [N], image widths.
        gap: smallest distance between two rims, image widths.
        margin: smallest distance of a centre from the image's border, image widths.

    Returns:
        (x, y, radius) of each disc; one that finds no room in 30 tries is left out.
    """
    placed = np.empty((0, 3))
    for radius in np.sort(radii)[::-1]:
        tries = rng.uniform(margin, 1 - margin, (_TRIES, 2))
        distances = np.hypot(*(tries[:, None, axis] - placed[None, :, axis] for axis in (0, 1)))
        free = (distances > radius + placed[:, 2] + gap).all(axis=1)
        if free.any():
            placed = np.vstack([placed, [*tries[free.argmax()], radius]])
    return [(float(x), float(y), float(radius)) for x, y, radius in placed]


def crowded(rng: np.random.Generator, scene: Scene, number: int) -> NDArray[np.float64]:
    """Points that crowd where a site draws them, [number, 2] in image widths.

    They lie along the crease of a fold, on both sides of the nose, or around one point elsewhere.
    """
    site = scene.site
    if site.crease:
        u = rng.normal(0, 0.26, number)
        v = site.crease_position(u) + rng.normal(0, 0.13, number)
    elif site.name == FACE:
        side = rng.choice([-1.0, 1.0], number)
        u = site.midline + side * np.abs(rng.normal(0.17, 0.085, number))
        v = rng.normal(0.05, 0.15, number) + 0.5 * np.abs(u - site.midline) - 0.08
    else:
        centre = rng.uniform(-0.25, 0.25, 2)
        u, v = (value + rng.normal(0, 0.13, number) for value in centre)
    return np.array([scene.image_position(*point) for point in zip(u, v, strict=True)]).reshape(-1, 2)


@dataclass(frozen=True)
class Lines:
    """Coordinates across and along Blaschko's lines, each float32 [S, S], in units of the body."""

    across: Field
    along: Field


def blaschko_lines(rng: np.random.Generator, scene: Scene, *, whorl: float) -> Lines:
    """Blaschko's lines at a site.

    Args:
        whorl: angle in radians by which the lines are wound up about a point near the centre.
    """
    site = scene.site
    u, v = scene.u - np.float32(site.midline), scene.v
    cu, cv = (np.float32(value) for value in rng.normal(0, 0.09, 2))
    du, dv = u - cu, v - cv
    wound = np.float32(whorl * rng.choice([-1, 1])) * np.exp(-(du * du + dv * dv) / np.float32(2 * 0.24**2))
    cosine, sine = np.cos(wound), np.sin(wound)
    u, v = cu + cosine * du - sine * dv, cv + sine * du + cosine * dv
    if site.name == LIMB:  # along the limb, slightly oblique
        across, along = u + np.float32(rng.uniform(0.1, 0.3)) * v, v
    else:  # a V at the midline, with an S to either side
        slope = np.float32(rng.uniform(0.6, 1.0) if site.name == BACK else rng.uniform(0.3, 0.6))
        aside = np.sqrt(u * u + np.float32(0.08**2))
        swing = np.float32(rng.uniform(0.05, 0.09)) * np.sin(np.float32(7) * aside)
        across, along = v - slope * aside - swing, u
    drift_u, drift_v = (np.float32(0.03) * smooth_noise(rng, 4, scene.size) for _ in range(2))
    return Lines(across + drift_u, along + drift_v)


def streaks(
    rng: np.random.Generator,
    lines: Lines,
    *,
    bands: float,
    broken: float,
    covered: float,
    ragged: float,
    soft: float,
) -> Field:
    """Streaks and bands that follow lines, swell, thin out and break off: weight float32 [S, S] in [0, 1].

    Args:
        bands: streaks per unit of the body.
        broken: breaks and swellings along a streak per unit of the body.
        covered: roughly the proportion of the skin that is changed, in (0, 1).
        ragged: strength of the fine noise that frays the edges, 0 … 1.
        soft: softness of the edges, 0.1 … 1.
    """
    size = lines.across.shape[0]
    pattern = _texture(rng, round(2 * _REACH * bands), round(2 * _REACH * broken))
    fine = _texture(rng, round(2 * _REACH * 3 * bands), round(2 * _REACH * 7))
    scale = np.float32(_TEXTURE / (2 * _REACH))
    rows, columns = (
        np.clip((c + np.float32(_REACH)) * scale, 0, _TEXTURE) for c in (lines.across, lines.along)
    )
    value = cv2.remap(
        pattern + np.float32(ragged) * fine, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    value = value + np.float32(0.35) * smooth_noise(rng, 2, size)
    threshold = np.quantile(value[::8, ::8], 1 - covered)
    return inside(np.float32(threshold) - value, soft)


def stopped_at_midline(weight: Field, scene: Scene, side: float, rng: np.random.Generator) -> Field:
    """The weight on one side (-1 or 1) of the body's midline, which it respects but for a slight wobble."""
    wobble = np.float32(0.006) * smooth_noise(rng, 10, scene.size)
    beyond = np.float32(-side) * (scene.u - np.float32(scene.site.midline)) + wobble
    return weight * inside(beyond, 0.012)


def _texture(rng: np.random.Generator, rows: int, columns: int) -> Field:
    """Noise with `rows` bumps across the lines and `columns` along them: float32 [512, 512]."""
    return smooth_noise(rng, rows, _TEXTURE, columns)
