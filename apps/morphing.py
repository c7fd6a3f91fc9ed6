"""Morphs without a page: their frames, what the classifier predicts for them, and which pixels it uses."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from threading import Lock

import numpy as np

from morphoscope.classify import Attribution, Ensemble, Prediction
from morphoscope.classify.attribution.maps import onto_image
from morphoscope.cohort import Provenance
from morphoscope.configs.attribution import Method
from morphoscope.configs.morphs import Way
from morphoscope.generate import GeneratorModel
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.latents.marks import frame_provenance
from morphoscope.runtime.torch_memory import give_back_freed_memory

FRAMES = 25
COARSE_FRAMES = 9
_MEASURED = 17  # frames between which the change of the image is measured
_AT_A_TIME = 5  # frames of one morph, before those of another one that waits
_KEPT = 16  # morphs

Wanted = Callable[[], bool]


class NoLongerWantedError(Exception):
    """Whoever asked has asked for something else in the meantime."""


@dataclass(frozen=True, eq=False)
class Morph:
    """From one end to another.

    Attributes:
        psi: truncation of what comes from seeds.
        even: whether neighbouring frames differ equally much; else they are evenly spaced along the path.
    """

    a: End
    b: End
    psi: float
    even: bool = False

    @classmethod
    def between(cls, a: str, b: str, seed: int, psi: float, even: bool = False) -> "Morph":
        """From condition `a` to condition `b` with one seed: only the label changes."""
        return cls(End(seed, {a: 1.0}), End(seed, {b: 1.0}), psi, even)

    @cached_property
    def path(self) -> LatentPath:
        """The path through the generator's latents.

        Labels are mixed, and where the seeds differ z goes from one to the other. From or to a photograph,
        which has no z, codes are interpolated.
        """
        seeds = self.a.seed is not None and self.b.seed is not None
        way: Way = "label" if seeds or self.a.same_source(self.b) else "both"
        return LatentPath(self.a, self.b, way, psi=self.psi)

    @property
    def titles(self) -> tuple[str, str]:
        """What stands for its two ends; a photograph's file is not named."""
        return self.a.title(self.a.label_name), self.b.title(self.b.label_name)

    @property
    def of_seeds(self) -> bool:
        """Whether no photograph is among its ends: nothing is kept of those that have one."""
        return self.a.seed is not None and self.b.seed is not None

    def _key(self) -> tuple[object, ...]:
        ends = [
            (end.seed, id(end.source) if end.seed is None else None, *sorted(end.label.items()))
            for end in (self.a, self.b)
        ]
        return (*ends, self.psi, self.even)

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Morph) and self._key() == other._key()


@dataclass(frozen=True)
class Change:
    """The answer is `before` up to frame `last` and `after` from frame `first`; none is sure between them."""

    before: str
    after: str
    last: int
    first: int


@dataclass(frozen=True, eq=False)
class Film:
    """Frames of a morph.

    Attributes:
        ratios: float64 [N] from 0 (the first end) to 1, ascending.
        images: uint8 [N, R, R, 3].
    """

    morph: Morph
    ratios: np.ndarray
    images: np.ndarray


@dataclass(frozen=True, eq=False)
class Curve(Film):
    """The frames of a morph and what the classifier predicts for them.

    Attributes:
        prediction: for the N frames.
    """

    prediction: Prediction

    def answers(self) -> list[str | None]:
        """The most probable condition of each frame; None where no model is sure."""
        names = [self.prediction.conditions[index] for index in self.prediction.predicted]
        return [None if unsure else name for name, unsure in zip(names, self.prediction.unsure, strict=True)]

    def changes(self) -> list[Change]:
        """Where the answer changes, in the order of the morph."""
        sure = [(index, name) for index, name in enumerate(self.answers()) if name is not None]
        return [
            Change(before, after, last, first)
            for (last, before), (first, after) in pairwise(sure)
            if before != after
        ]


def always() -> bool:
    """A computation that is wanted whatever else is requested."""
    return True


class Workbench:
    """A generator and an ensemble, side by side; safe to use from several threads.

    Attributes:
        turn: held while one of them computes: one thread at a time is as fast as several.
    """

    def __init__(self, generator: GeneratorModel, ensemble: Ensemble) -> None:
        self.generator, self.ensemble = generator, ensemble
        self.turn = Lock()
        self._mapping = Lock()  # maps take long and much memory: one at a time, beside the frames of morphs
        self._curves: dict[Morph, Curve] = {}
        self._films = lru_cache(_KEPT)(self._film)

    def coarse(self, morph: Morph) -> Film:
        """A few frames, which are there long before the others; their ratios are evenly spaced.

        Raises:
            UserError: an unknown condition, or a seed out of range.
        """
        return self._films(morph) if morph.of_seeds else self._film(morph)

    def curve(self, morph: Morph, wanted: Wanted = always) -> Curve:
        """All frames and predictions; those of the last 16 morphs between seeds are kept.

        The memory that they take to compute is given back to the system.

        Args:
            wanted: asked from time to time.

        Raises:
            NoLongerWantedError: `wanted` has returned False.
            UserError: as for `coarse`.
        """
        known = self._curves.get(morph)
        if known is not None:
            return known
        try:
            curve = self._curve(morph, wanted)
        finally:
            give_back_freed_memory()
        if morph.of_seeds:
            self._keep(curve)
        return curve

    def image(self, morph: Morph, ratio: float) -> np.ndarray:
        """The frame at a ratio from 0 to 1: uint8 [R, R, 3].

        Raises:
            UserError: as for `coarse`.
        """
        return self._images(morph, [ratio])[0]

    def captions(self, film: Film) -> list[str]:
        """The mixture of each frame, "60% IP + 40% ML", or how far along the way it is."""
        return film.morph.path.captions(self.generator, film.ratios)

    def caption(self, morph: Morph, ratio: float) -> str:
        """That of one frame."""
        return morph.path.captions(self.generator, [ratio])[0]

    def provenance(self, morph: Morph, ratio: float) -> Provenance:
        """Where the frame's image comes from: generator, label, seed, psi and path."""
        return frame_provenance(self.generator, morph.path, ratio)

    def model_input(self, image: np.ndarray, panoramic: np.ndarray | None = None) -> np.ndarray:
        """What the ensemble takes: an image itself, or for an ensemble of pairs, a pair.

        Args:
            image: uint8 [H, W, 3]; the focused half of a pair, or its only half.
            panoramic: the other half, for an ensemble of pairs.
        """
        if not self.ensemble.dual:
            return image
        if panoramic is None and self.generator.metadata.view == "panoramic":
            return self.ensemble.pair(None, image)
        return self.ensemble.pair(image, panoramic)

    def predict(self, image: np.ndarray, panoramic: np.ndarray | None = None) -> Prediction:
        """The ensemble's probabilities for one image, uint8 [H, W, 3]; arguments as in `model_input`."""
        with self.turn:
            return self.ensemble.predict([self.model_input(image, panoramic)])

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Features of inputs by the ensemble's first model, float32 [N, D] of length 1."""
        with self.turn:
            found = self.ensemble.predict_fold(self.ensemble.folds[0], images).features
        features: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-12)
        return features

    def attribute(
        self,
        image: np.ndarray,
        target: str | None,
        method: Method = "integrated_gradients",
        panoramic: np.ndarray | None = None,
    ) -> Attribution:
        """Which pixels of uint8 [H, W, 3] count for `target`, or for the most probable condition if None.

        The memory that it takes is given back to the system.

        Args:
            image, panoramic: as in `model_input`; the map of both together lies over that pair.

        Raises:
            UserError: an unknown condition.
        """
        given = self.model_input(image, panoramic)
        wanted = int(self.predict(image, panoramic).predicted[0]) if target is None else target
        with self._mapping:
            try:
                found = self.ensemble.attribute(given, wanted, method)
            finally:
                give_back_freed_memory()
        alone = self.ensemble.dual and panoramic is None
        return self._of_half(found, given, image) if alone else found

    def _of_half(self, found: Attribution, pair: np.ndarray, image: np.ndarray) -> Attribution:
        """The map of a pair, cut to its only half and laid onto the image that stands there."""
        side = self.ensemble.resolution
        half = slice(0, side) if pair[:, :side].any() else slice(side, None)
        fit = self.ensemble.config.images.fit
        return replace(found, map=onto_image(found.map[:, half], image.shape[:2], fit))

    def prepare(self) -> None:
        """Compute one frame, so that kernels are built and memory is laid out before the first visitor."""
        name = self.generator.conditions[0]
        self.predict(self.image(Morph.between(name, name, 0, 1.0), 0.0))

    def _curve(self, morph: Morph, wanted: Wanted) -> Curve:
        ratios = self._even_ratios(morph) if morph.even else np.linspace(0, 1, FRAMES)
        images = self._images(morph, ratios, wanted)
        _require(wanted)
        inputs = images if not self.ensemble.dual else [self.model_input(image) for image in images]
        with self.turn:
            return Curve(morph, ratios, images, self.ensemble.predict(inputs))

    def _film(self, morph: Morph) -> Film:
        ratios = np.linspace(0, 1, COARSE_FRAMES)
        return Film(morph, ratios, self._images(morph, ratios))

    def _images(
        self, morph: Morph, ratios: Sequence[float] | np.ndarray, wanted: Wanted = always
    ) -> np.ndarray:
        parts = []
        for start in range(0, len(ratios), _AT_A_TIME):
            _require(wanted)
            some = ratios[start : start + _AT_A_TIME]
            with self.turn:
                if morph.of_seeds:
                    parts.append(self.generator.images(morph.path.codes(self.generator, some)))
                else:  # whose networks may have weights of their own
                    parts.append(morph.path.frames(self.generator, some))
        return np.concatenate(parts)

    def _even_ratios(self, morph: Morph) -> np.ndarray:
        """Ratios between which the image changes equally much.

        One round of equidistribution (de Boor 1973), as in `latents.spacing`, whose perceptual distance would
        take longer than all frames: here the change is the root mean square difference of the pixels.
        """
        coarse = self.coarse(morph)
        ratios = np.linspace(0, 1, _MEASURED)
        between = self._images(morph, ratios[1::2])
        images = np.empty((_MEASURED, *between.shape[1:]), np.float32)
        images[::2], images[1::2] = coarse.images, between
        steps = np.sqrt(np.square(np.diff(images, axis=0)).mean(axis=(1, 2, 3)))
        if not steps.any():
            return np.linspace(0, 1, FRAMES)
        travelled = np.concatenate([[0], np.cumsum(steps)])
        return np.interp(np.linspace(0, travelled[-1], FRAMES), travelled, ratios)

    def _keep(self, curve: Curve) -> None:
        self._curves[curve.morph] = curve
        while len(self._curves) > _KEPT:
            with suppress(KeyError):  # another thread was first
                del self._curves[next(iter(self._curves))]


def _require(wanted: Wanted) -> None:
    if not wanted():
        raise NoLongerWantedError
