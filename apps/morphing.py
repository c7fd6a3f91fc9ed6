"""Morphs without a page: their frames, what the classifier predicts for them, and which pixels it uses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from morphoscope.apps.verdict import answered
from morphoscope.classify import Attribution, Ensemble, Prediction
from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import label_text, mixture
from morphoscope.configs.attribution import Method
from morphoscope.generate import GeneratorModel

CURVE_FRAMES = 17
_CURVES_KEPT = 64


@dataclass(frozen=True)
class Morph:
    """From condition `a` to condition `b` with one seed and one truncation `psi`: only the label changes."""

    a: str
    b: str
    seed: int
    psi: float


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
    """The answer is `before` at share `low` and `after` at share `high`; None: there was no answer."""

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
        """The most probable condition of each frame; None where the verdict gives no answer."""
        names = [self.prediction.conditions[index] for index in self.prediction.predicted]
        return [name if given else None for name, given in zip(names, answered(self.prediction), strict=True)]

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
    """A generator and an ensemble, side by side.

    Attributes:
        curve: Morph -> Curve; the last 64 are kept, so that moving the slider costs one frame only.
    """

    curve: Callable[[Morph], Curve]

    def __init__(self, generator: GeneratorModel, ensemble: Ensemble) -> None:
        self.generator, self.ensemble = generator, ensemble
        self.curve = lru_cache(maxsize=_CURVES_KEPT)(self._curve)

    def image(self, frame: Frame) -> np.ndarray:
        """The generated image of a frame: uint8 [R, R, 3].

        Raises:
            UserError: an unknown condition, or a seed or share out of range.
        """
        morph = frame.morph
        return self.generator.morph(morph.a, morph.b, morph.seed, [frame.share], morph.psi)[0]

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

        Raises:
            UserError: an unknown condition.
        """
        wanted = int(self.predict(image).predicted[0]) if target is None else target
        return self.ensemble.attribute(image, wanted, method)

    def _curve(self, morph: Morph) -> Curve:
        shares = np.linspace(0, 1, CURVE_FRAMES)
        frames = self.generator.morph(morph.a, morph.b, morph.seed, shares.tolist(), morph.psi)
        return Curve(morph, shares, self.ensemble.predict(frames))
