"""Body sites: where on the body a phantom's photograph is taken, how the skin curves there, and the view.

A site is a handful of continuous numbers. Positions on the body are (u, v), in widths of a focused view: u
runs across and v along the body, from the centre of the photograph.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morphoscope.cohort.phantom.fields import Field, coordinates, inside
from morphoscope.configs.views import PairedView

BACK, LIMB, FACE, FOLD = "back", "limb", "face", "fold"

_GROOVE_WIDTH, _CREASE_WIDTH = 0.05, 0.02


@dataclass(frozen=True)
class Site:
    """A place on the body and the camera's position over it.

    Attributes:
        name: back, limb, face or fold.
        angle: rotation of the body in the image, radians.
        curvature: of the skin across and along the body, reciprocal of the radius.
        midline: u of the body's midline.
        groove: depth of the furrow along the midline (spine); negative for a ridge (bridge of the nose).
        crease: depth of a skin fold across the body, 0 without one.
        crease_at: its v at the centre.
        reach: half of what the photograph shows, 0.5 for a focused view.
        half_width: of the body part; beyond it is the background.
    """

    name: str
    angle: float
    curvature: tuple[float, float]
    midline: float
    groove: float
    crease: float
    crease_at: float
    reach: float
    half_width: float

    @classmethod
    def draw(cls, rng: np.random.Generator, name: str, view: PairedView) -> "Site":
        """Draw a place of the given name and a view of it."""
        uniform = rng.uniform
        across, along, midline, groove, crease, width = {
            BACK: (
                uniform(0.3, 0.7),
                uniform(0.0, 0.25),
                uniform(-0.22, 0.22),
                uniform(0.012, 0.03),
                0.0,
                1.0,
            ),
            LIMB: (uniform(1.1, 1.7), uniform(0.0, 0.2), uniform(-0.1, 0.1), 0.0, 0.0, 0.55),
            FACE: (uniform(0.8, 1.3), uniform(0.5, 0.9), uniform(-0.1, 0.1), -uniform(0.05, 0.08), 0.0, 2.0),
            FOLD: (uniform(0.1, 0.5), uniform(0.3, 0.8), uniform(-0.2, 0.2), 0.0, uniform(0.03, 0.06), 0.9),
        }[name]
        return cls(
            name=name,
            angle=rng.normal(0, 0.16),
            curvature=(across, along),
            midline=midline,
            groove=groove,
            crease=crease,
            crease_at=uniform(-0.2, 0.2),
            reach=0.5 if view == "focused" else uniform(0.75, 0.95),
            half_width=width * uniform(0.9, 1.05),
        )

    def crease_position(self, u: NDArray[np.floating]) -> NDArray[np.floating]:
        """v of the crease at u."""
        return u * u * np.float32(0.35) + np.float32(self.crease_at)


class Scene:
    """The body coordinates of every pixel of a photograph of a site.

    Attributes:
        size: side in pixels.
        u, v: position on the body, each float32 [S, S].
        zoom: image widths per unit of the body, 1 for a focused view.
        body: where the body is, float32 [S, S] in [0, 1]; None if it fills the image.
    """

    def __init__(self, site: Site, size: int) -> None:
        self.site, self.size, self.zoom = site, size, 0.5 / site.reach
        x, y = coordinates(size)
        half = np.float32(0.5)
        self.u, self.v = self._turned((x - half) / np.float32(self.zoom), (y - half) / np.float32(self.zoom))
        reaches_over = site.reach * 1.5 > site.half_width and site.reach > 0.5
        self.body = inside(np.abs(self.u) - np.float32(site.half_width), 0.012) if reaches_over else None

    def image_position(self, u: float, v: float) -> tuple[float, float]:
        """(x, y) in image widths of a point of the body."""
        cosine, sine = np.cos(self.site.angle), np.sin(self.site.angle)
        return 0.5 + self.zoom * (cosine * u - sine * v), 0.5 + self.zoom * (sine * u + cosine * v)

    def height(self) -> Field:
        """Height of the skin towards the camera, float32 [S, S], in units of the body."""
        site, u, v = self.site, self.u, self.v
        across, along = (np.float32(0.5 * curvature) for curvature in site.curvature)
        height = -across * u * u - along * v * v
        if self.body is not None:  # the body turns away towards its outline
            edge = np.clip(np.abs(u) / np.float32(site.half_width), 0, 1) ** 4
            height = height - np.float32(0.12) * edge
        if site.groove:
            height = height - np.float32(site.groove) * _bell(u - np.float32(site.midline), _GROOVE_WIDTH)
        if site.crease:
            height = height - np.float32(site.crease) * _bell(self._from_crease(), 4 * _CREASE_WIDTH)
        return height

    def shadow(self) -> Field | float:
        """How far a crease is shut off from the light, float32 [S, S] in [0, 1]; 0 without one."""
        if not self.site.crease:
            return 0.0
        return _bell(self._from_crease(), _CREASE_WIDTH)

    def _from_crease(self) -> Field:
        return self.v - self.site.crease_position(self.u)

    def _turned(self, x: Field, y: Field) -> tuple[Field, Field]:
        cosine, sine = np.float32(np.cos(self.site.angle)), np.float32(np.sin(self.site.angle))
        return cosine * x + sine * y, cosine * y - sine * x


def _bell(distance: Field, width: float) -> Field:
    """1 at distance 0, falling off over about `width`."""
    return np.exp(-((distance / np.float32(width)) ** 2) / 2)
