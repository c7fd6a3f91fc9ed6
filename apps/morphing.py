"""Morphs without a page: their frames, what the classifier predicts for them, and which pixels it uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
import torch

from morphoscope.apps.batching import Batcher
from morphoscope.classify import Attribution, Ensemble, Prediction
from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import label_text, mixture
from morphoscope.configs.attribution import Method
from morphoscope.generate import GeneratorModel
from morphoscope.generate.latents import End, LatentPath
from morphoscope.runtime.torch_memory import give_back_freed_memory

CURVE_FRAMES = 17
LARGEST_BATCH = 16  # frames; the generator's own
_CURVES_KEPT = 64


@dataclass(frozen=True)
class Morph:
    """From condition `a` to condition `b` with one seed and one truncation `psi`: only the label changes."""

    a: str
    b: str
    seed: int
    psi: float

    @property
    def path(self) -> LatentPath:
        """The path through the generator's latents."""
        ends = End(self.seed, {self.a: 1.0}), End(self.seed, {self.b: 1.0})
        return LatentPath(*ends, psi=self.psi)


@dataclass(frozen=True)
class Frame:
    """The frame of a morph at `share` of its second condition, from 0 to 1."""

    morph: Morph
    share: float

    @property
    def label(self) -> dict[str, float]:
        """The mixture that the generator is given: {condition: share}."""
        return mixture(self.morph.a, self.morph.b, self.share)

    @property
    def mixture(self) -> str:
        """The label in words: "60% IP + 40% ML"."""
        return label_text(self.label)


@dataclass(frozen=True)
class Change:
    """The answer is `before` at share `low` and `after` at share `high`; None: no model was sure."""

    before: str | None
    after: str | None
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """What the classifier predicts along a morph.

    Attributes:
        shares: float [S] from 0 to 1, the share of the morph's second condition.
        prediction: for the S frames.
    """

    morph: Morph
    shares: np.ndarray
    prediction: Prediction

    def answers(self) -> list[str | None]:
        """The most probable condition of each frame; None where no model is sure."""
        names = [self.prediction.conditions[index] for index in self.prediction.predicted]
        return [None if unsure else name for name, unsure in zip(names, self.prediction.unsure, strict=True)]

    def changes(self) -> list[Change]:
        """Where the answer changes, in the order of the morph."""
        answers = self.answers()
        pairs = zip(answers, answers[1:], self.shares, self.shares[1:], strict=False)
        return [
            Change(before, after, float(low), float(high))
            for before, after, low, high in pairs
            if before != after
        ]


class Workbench:
    """A generator and an ensemble, side by side; safe to use from several threads."""

    def __init__(self, generator: GeneratorModel, ensemble: Ensemble) -> None:
        self.generator, self.ensemble = generator, ensemble
        self._batcher = Batcher(self._look_at, LARGEST_BATCH)
        self._drawing = Lock()
        self._curves = lru_cache(maxsize=_CURVES_KEPT)(self._curve)

    def look_at(self, frame: Frame) -> tuple[np.ndarray, Prediction]:
        """The generated image of a frame, uint8 [R, R, 3], and the ensemble's prediction for it.

        Frames that several threads ask for are computed together; an image is the same as if computed alone.

        Raises:
            UserError: an unknown condition, or a seed or share out of range.
        """
        return self._batcher(frame)

    def image(self, frame: Frame) -> np.ndarray:
        """The generated image of a frame: uint8 [R, R, 3].

        Raises:
            UserError: as for `look_at`.
        """
        return self.look_at(frame)[0]

    def curve(self, morph: Morph) -> Curve:
        """What the classifier predicts along a morph; the last 64 are kept.

        Raises:
            UserError: as for `look_at`.
        """
        with self._drawing:  # sessions that open together ask for the same one
            return self._curves(morph)

    def provenance(self, frame: Frame) -> Provenance:
        """Where the frame's image comes from: generator, label, seed and psi."""
        return self.generator.provenance(frame.label, frame.morph.seed, frame.morph.psi)

    def predict(self, image: np.ndarray) -> Prediction:
        """The ensemble's probabilities for one image, uint8 [H, W, 3]."""
        return self.ensemble.predict([image])

    def attribute(
        self, image: np.ndarray, target: str | None, method: Method = "integrated_gradients"
    ) -> Attribution:
        """Which pixels of uint8 [H, W, 3] count for `target`, or for the most probable condition if None.

        The memory that it takes is given back to the system.

        Raises:
            UserError: an unknown condition.
        """
        wanted = int(self.predict(image).predicted[0]) if target is None else target
        try:
            return self.ensemble.attribute(image, wanted, method)
        finally:
            give_back_freed_memory()

    def prepare(self) -> None:
        """Compute one frame, so that kernels are built and memory is laid out before the first visitor."""
        name = self.generator.conditions[0]
        self.look_at(Frame(Morph(name, name, 0, 1.0), 0.0))

    def _look_at(self, frames: Sequence[Frame]) -> list[tuple[np.ndarray, Prediction]]:
        distinct = list(dict.fromkeys(frames))
        codes = torch.cat([frame.morph.path.codes(self.generator, [frame.share]) for frame in distinct])
        images = dict(zip(distinct, self.generator.images(codes), strict=True))
        shown = [images[frame] for frame in frames]
        prediction = self.ensemble.predict(shown)
        return [(image, prediction.of(position)) for position, image in enumerate(shown)]

    def _curve(self, morph: Morph) -> Curve:
        shares = np.linspace(0, 1, CURVE_FRAMES)
        with self._batcher.turn:
            frames = morph.path.frames(self.generator, shares)
            return Curve(morph, shares, self.ensemble.predict(frames))
