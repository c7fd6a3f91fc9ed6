"""The seven phantom conditions: which signs are drawn, where, and how they change from early to late.

The signs follow the textbook descriptions of the conditions (docs/phantoms.md lists them). They are drawings,
not patients.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from morphoscope.cohort.phantom.arrangements import (
    blaschko_lines,
    crowded,
    scattered,
    stopped_at_midline,
    streaks,
)
from morphoscope.cohort.phantom.fields import Field, coordinates, fractal_noise, inside, rotated, smooth_noise
from morphoscope.cohort.phantom.shapes import Spot, domes, leaves, ovals
from morphoscope.cohort.phantom.sites import BACK, FACE, FOLD, LIMB, Scene


@dataclass(frozen=True)
class Finding:
    """One kind of change of the skin.

    Attributes:
        weight: float32 [S, S] in [0, 1], how far each point is changed; the lesion mask is `weight >= 0.5`.
        melanin: added melanin, in units of optical density of the green channel.
        dermal: added melanin in the depth of the skin, which looks slate grey, same unit.
        blood: added haemoglobin (redness), same unit.
        loss: fraction of the skin's own pigment that is missing, in [0, 1].
        height: of raised skin, float32 [S, S], image widths; None if it is flat.
    """

    weight: Field
    melanin: float = 0.0
    dermal: float = 0.0
    blood: float = 0.0
    loss: float = 0.0
    height: Field | None = None


@dataclass(frozen=True)
class Traits:
    """What the images of one phantom patient share, each in [0, 1]; conditions use it in their own ways.

    Attributes:
        strength: of the pigment's change.
        scale: size of single lesions.
        number: of lesions, or how much of the skin they cover.
        stage: 0 (early) to 1 (late).
    """

    strength: float
    scale: float
    number: float
    stage: float

    def between(self, name: str, low: float, high: float) -> float:
        """The trait `name`, mapped onto [low, high]."""
        return low + (high - low) * float(getattr(self, name))


Condition = Callable[[np.random.Generator, Traits, Scene], list[Finding]]


def hypomelanosis_of_ito(rng: np.random.Generator, traits: Traits, scene: Scene) -> list[Finding]:
    """HMI: broad pale bands and whorls along Blaschko's lines; later more of them, and paler."""
    lines = blaschko_lines(rng, scene, whorl=rng.uniform(0.4, 1.5))
    covered = traits.between("number", 0.22, 0.32) + 0.08 * traits.stage
    weight = streaks(
        rng,
        lines,
        bands=traits.between("scale", 11.0, 8.0),
        broken=1.7,
        covered=covered,
        ragged=0.25,
        soft=0.6,
    )
    loss = traits.between("strength", 0.45, 0.65) + 0.15 * traits.stage
    return [Finding(weight, loss=loss)]


def incontinentia_pigmenti(rng: np.random.Generator, traits: Traits, scene: Scene) -> list[Finding]:
    """IP along Blaschko's lines: red with blisters, then splashed grey-brown whorls, which fade at last."""
    lines = blaschko_lines(rng, scene, whorl=rng.uniform(0.4, 1.5))
    weight = streaks(
        rng,
        lines,
        bands=traits.between("scale", 14.0, 10.0),
        broken=3.2,
        covered=traits.between("number", 0.22, 0.34),
        ragged=0.45,
        soft=0.6,
    )
    early = float(np.clip(1 - traits.stage / 0.4, 0, 1))
    fading = float(np.clip((traits.stage - 0.7) / 0.3, 0, 1))
    melanin = traits.between("strength", 0.85, 1.2) * (1 - 0.4 * early) * (1 - 0.3 * fading)
    findings = [Finding(weight, melanin=0.75 * melanin, dermal=0.25 * melanin, blood=0.1 + 0.5 * early)]
    if early > 0.1:
        findings.append(_blisters(rng, weight, scene, round(40 * early)))
    return findings


def mccune_albright(rng: np.random.Generator, traits: Traits, scene: Scene) -> list[Finding]:
    """MA: one large patch, ragged as the coast of Maine, that stops at the midline; it grows and darkens."""
    side = rng.choice([-1.0, 1.0])
    size = traits.between("scale", 0.29, 0.36) + 0.06 * traits.stage
    u = scene.u - np.float32(scene.site.midline + side * rng.uniform(0.55, 0.85) * size)
    v = scene.v - np.float32(rng.uniform(-0.1, 0.1))
    stretch = np.float32(rng.uniform(0.8, 1.0))
    along, across = rotated(u, v, rng.normal(0, 0.3))
    coast = np.float32(0.05) * fractal_noise(rng, 5, 5, 0.72, scene.size)
    distance = np.hypot(along / stretch, across * stretch) - np.float32(size) + coast
    weight = stopped_at_midline(inside(distance, 0.009), scene, side, rng)
    return [Finding(weight, melanin=traits.between("strength", 0.5, 0.75) + 0.15 * traits.stage)]


def multiple_lentigines(rng: np.random.Generator, traits: Traits, scene: Scene) -> list[Finding]:
    """ML: many small dark spots everywhere; later more and darker ones, and a few large ones (café noir)."""
    number = round((traits.between("number", 50, 90) + 50 * traits.stage) / scene.zoom)
    radii = traits.between("scale", 0.009, 0.0125) * np.exp(rng.normal(0, 0.42, number))
    large = rng.uniform(0.035, 0.055, rng.binomial(3, 0.3 + 0.3 * traits.stage))
    spots = [
        _oval(rng, *placed, stretch=1.25)
        for placed in scattered(rng, scene.zoom * np.concatenate([large, radii]), 0.006, 0.0)
    ]
    weight = ovals(rng, spots, scene.size, edge=0.003, wobble=0.005, cells=24)
    return [Finding(weight, melanin=traits.between("strength", 0.9, 1.4) + 0.3 * traits.stage)]


def neurofibromatosis_1(rng: np.random.Generator, traits: Traits, scene: Scene) -> list[Finding]:
    """NF1: even, smooth-edged café-au-lait patches; later freckles, crowded in folds; then neurofibromas."""
    number = round(traits.between("number", 3, 5.5) / scene.zoom**1.5)
    radii = traits.between("scale", 0.07, 0.095) * np.exp(rng.normal(0, 0.38, number))
    tilt = rng.uniform(0, np.pi)
    patches = [
        _oval(rng, *placed, stretch=1.45, tilt=tilt)
        for placed in scattered(rng, scene.zoom * radii, 0.04, 0.08)
    ]
    melanin = traits.between("strength", 0.45, 0.7)
    coffee = ovals(rng, patches, scene.size, edge=0.006, wobble=0.01, cells=5)
    findings = [Finding(coffee, melanin=melanin)]
    freckles = traits.stage * (90 if scene.site.name == FOLD else 20)
    if freckles >= 1:
        weight = _freckles(rng, scene, rng.poisson(freckles))
        findings.append(Finding(weight, melanin=1.5 * melanin))
    if traits.stage > 0.5:
        number = rng.poisson(9 * (traits.stage - 0.4) / scene.zoom)
        findings.append(_papules(rng, scene, scattered(rng, _radii(rng, scene, 0.028, number), 0.02, 0.05)))
    return findings


def tuberous_sclerosis(rng: np.random.Generator, traits: Traits, scene: Scene) -> list[Finding]:
    """TSC: pale ash leaves; then confetti; later a shagreen patch, or on the face angiofibromas."""
    number = round(traits.between("number", 2, 4) / scene.zoom**1.5)
    lengths = traits.between("scale", 0.13, 0.17) * np.exp(rng.normal(0, 0.15, number))
    tilt = rng.uniform(0, 2 * np.pi)
    placed = scattered(rng, 0.75 * scene.zoom * lengths, 0.02, 0.12)
    spots = [Spot(x, y, r / 0.75, angle=tilt + rng.normal(0, 0.4)) for x, y, r in placed]
    loss = traits.between("strength", 0.5, 0.75)
    findings = [Finding(leaves(rng, spots, scene.size, edge=0.008, wobble=0.011), loss=loss)]
    if traits.stage > 0.25:
        points = crowded(rng, scene, rng.poisson(26 * traits.stage))
        confetti = [Spot(x, y, scene.zoom * rng.uniform(0.008, 0.015)) for x, y in points]
        weight = ovals(rng, confetti, scene.size, edge=0.0035, wobble=0.003, cells=16)
        if scene.site.name != FACE:
            findings.append(Finding(weight, loss=0.85 * loss))
    if traits.stage > 0.3 and scene.site.name == FACE:
        findings.append(_angiofibromas(rng, scene, round(50 * traits.stage)))
    if traits.stage > 0.55 and scene.site.name == BACK:
        findings.append(_shagreen(rng, traits, scene))
    return findings


def other(rng: np.random.Generator, traits: Traits, scene: Scene) -> list[Finding]:
    """Other: a red area (diffuse as eczema, sharp as a port-wine stain, later ringed as tinea), and moles."""
    sharpness, clearing = traits.number, float(np.clip((traits.stage - 0.6) / 0.2, 0, 1))
    cx, cy = scene.image_position(*rng.uniform(-0.14, 0.14, 2))
    x, y = coordinates(scene.size)
    distance = np.hypot(x - np.float32(cx), y - np.float32(cy)) / np.float32(scene.zoom)
    distance = distance + np.float32(0.028) * fractal_noise(rng, 5, 2, 0.6, scene.size)
    radius = traits.between("scale", 0.17, 0.26) + 0.07 * traits.stage
    weight = inside(distance - np.float32(radius), 0.1 - 0.075 * sharpness)
    weight = weight * (1 - np.float32(0.75 * clearing) * inside(distance - np.float32(0.6 * radius), 0.07))
    strength = traits.between("strength", 0.6, 0.9)
    findings = [Finding(weight, blood=strength, melanin=0.12 * sharpness)]
    radii = rng.uniform(0.016, 0.03, rng.binomial(4, 0.3)) * scene.zoom
    if len(radii):
        moles = [_oval(rng, *placed, stretch=1.15) for placed in scattered(rng, radii, 0.1, 0.1)]
        weight = ovals(rng, moles, scene.size, edge=0.004, wobble=0.003, cells=16)
        findings.append(Finding(weight, melanin=rng.uniform(1.1, 1.6), blood=0.1))
    return findings


@dataclass(frozen=True)
class Presentation:
    """A condition and the body sites where it is drawn, with their probabilities."""

    draw: Condition
    sites: dict[str, float]


CONDITIONS: dict[str, Presentation] = {
    "HMI": Presentation(hypomelanosis_of_ito, {BACK: 0.65, LIMB: 0.35}),
    "IP": Presentation(incontinentia_pigmenti, {BACK: 0.55, LIMB: 0.45}),
    "MA": Presentation(mccune_albright, {BACK: 0.75, FACE: 0.25}),
    "ML": Presentation(multiple_lentigines, {BACK: 0.4, LIMB: 0.25, FACE: 0.35}),
    "NF1": Presentation(neurofibromatosis_1, {BACK: 0.45, LIMB: 0.15, FOLD: 0.4}),
    "TSC": Presentation(tuberous_sclerosis, {BACK: 0.45, LIMB: 0.2, FACE: 0.35}),
    "Other": Presentation(other, {BACK: 0.3, LIMB: 0.3, FACE: 0.2, FOLD: 0.2}),
}
"""Drawing by condition name. The order is part of the random seed: append, never reorder."""


def _oval(
    rng: np.random.Generator, x: float, y: float, radius: float, *, stretch: float, tilt: float = 0.0
) -> Spot:
    """A slightly irregular oval at a place, of any direction unless `tilt` gives one."""
    angle = tilt + rng.normal(0, 0.4) if tilt else rng.uniform(0, np.pi)
    return Spot(x, y, radius, np.sqrt(rng.uniform(1, stretch)), angle, rng.uniform(0.75, 1))


def _radii(rng: np.random.Generator, scene: Scene, middle: float, number: int) -> np.ndarray:
    return scene.zoom * middle * np.exp(rng.normal(0, 0.3, number))


def _freckles(rng: np.random.Generator, scene: Scene, number: int) -> Field:
    """Small brown spots, crowded at a fold."""
    points, radii = crowded(rng, scene, number), _radii(rng, scene, 0.0095, number)
    spots = [_oval(rng, x, y, r, stretch=1.2) for (x, y), r in zip(points, radii, strict=True)]
    return ovals(rng, spots, scene.size, edge=0.003, wobble=0.003, cells=16)


def _papules(
    rng: np.random.Generator, scene: Scene, placed: list[tuple[float, float, float]], blood: float = 0.22
) -> Finding:
    """Soft, dome-shaped, slightly pink papules."""
    spots = [Spot(x, y, radius) for x, y, radius in placed]
    weight = ovals(rng, spots, scene.size, edge=0.006, wobble=0.0, cells=4)
    return Finding(weight, blood=blood, melanin=0.08, height=domes(spots, scene.size))


def _blisters(rng: np.random.Generator, weight: Field, scene: Scene, tries: int) -> Finding:
    """Small blisters on the streaks."""
    points = rng.uniform(0, 1, (tries, 2))
    at = np.minimum((points * scene.size).astype(int), scene.size - 1)
    kept = points[weight[at[:, 1], at[:, 0]] > 0.7]
    spots = [Spot(x, y, scene.zoom * rng.uniform(0.012, 0.022)) for x, y in kept]
    raised = ovals(rng, spots, scene.size, edge=0.004, wobble=0.0, cells=4)
    return Finding(raised, loss=0.35, blood=0.1, height=domes(spots, scene.size))


def _angiofibromas(rng: np.random.Generator, scene: Scene, number: int) -> Finding:
    """Red, shiny papules that crowd on both sides of the nose."""
    points, radii = crowded(rng, scene, number), _radii(rng, scene, 0.016, number)
    placed = [(x, y, r) for (x, y), r in zip(points.tolist(), radii.tolist(), strict=True)]
    return _papules(rng, scene, placed, blood=0.45)


def _shagreen(rng: np.random.Generator, traits: Traits, scene: Scene) -> Finding:
    """A raised, slightly yellow patch with the surface of orange peel."""
    cx, cy = scene.image_position(*rng.uniform(-0.3, 0.3, 2))
    spot = Spot(cx, cy, scene.zoom * traits.between("scale", 0.13, 0.18), 1.2, rng.uniform(0, np.pi))
    weight = ovals(rng, [spot], scene.size, edge=0.02, wobble=0.03, cells=6)
    peel = np.float32(0.004) * smooth_noise(rng, 34, scene.size) + np.float32(0.016)
    return Finding(weight, melanin=0.1, blood=0.12, height=weight * peel)
