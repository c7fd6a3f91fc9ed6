"""The studio's actions as named endpoints for programs (docs/api.md): typed values of JSON, no HTML."""

import gradio as gr

from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.answers import (
    ChangeMapsAnswer,
    MapAnswer,
    ModelsAnswer,
    MorphAnswer,
    PictureAnswer,
    SheetAnswer,
)
from morphoscope.apps.studio.classify import Classify, ClassifyAnswer, SimilarAnswer
from morphoscope.apps.studio.explore import Explore
from morphoscope.apps.studio.reporting import reported
from morphoscope.apps.studio.words import MOST_PROBABLE

_METHOD = "Integrated gradients"


class Api:
    """The endpoints; each method is one, under its own name.

    `photograph_a` and `photograph_b` are tokens of uploaded files of projected photographs, in place of
    seeds; the condition of such an end may be empty, and is its own then.
    """

    def __init__(self, actions: Actions, explore: Explore, classify: Classify) -> None:
        self._actions, self._explore, self._classify = actions, explore, classify

    def publish(self) -> None:
        """Add the endpoints to the current Blocks context."""
        for endpoint in (
            self.models,
            self.morph,
            self.picture,
            self.attribution,
            self.change,
            self.wall,
            self.triangle,
            self.mix,
            self.moved,
            self.classify,
            self.explain,
            self.similar,
        ):
            gr.api(reported(endpoint), api_name=endpoint.__name__, concurrency_limit=4)

    def models(self) -> ModelsAnswer:
        """The models of this studio: conditions, methods of attribution, and what is known about them."""
        return self._actions.models()

    def morph(
        self,
        a: str,
        b: str,
        seed_a: int = 0,
        seed_b: int = 0,
        psi: float = 0.7,
        even: bool = True,
        photograph_a: str | None = None,
        photograph_b: str | None = None,
    ) -> MorphAnswer:
        """The frames of a morph as one PNG, and what the classifier predicts for each of them."""
        return self._actions.morph(_values(locals()))

    def picture(
        self,
        a: str,
        b: str,
        ratio: float,
        seed_a: int = 0,
        seed_b: int = 0,
        psi: float = 0.7,
        photograph_a: str | None = None,
        photograph_b: str | None = None,
    ) -> PictureAnswer:
        """The frame at a ratio, from 0 (the first end) to 1, as a marked PNG."""
        return self._actions.picture(_values(locals()))

    def attribution(
        self,
        a: str,
        b: str,
        ratio: float,
        target: str = MOST_PROBABLE,
        method: str = _METHOD,
        seed_a: int = 0,
        seed_b: int = 0,
        psi: float = 0.7,
        photograph_a: str | None = None,
        photograph_b: str | None = None,
    ) -> MapAnswer:
        """Where the classifier looks in the frame at a ratio."""
        return self._actions.attribution(_values(locals()))

    def change(
        self,
        a: str,
        b: str,
        before: float,
        after: float,
        target: str = MOST_PROBABLE,
        method: str = _METHOD,
        seed_a: int = 0,
        seed_b: int = 0,
        psi: float = 0.7,
        photograph_a: str | None = None,
        photograph_b: str | None = None,
    ) -> ChangeMapsAnswer:
        """Why the classifier changes its mind between two frames: their maps, and the difference."""
        return self._actions.change(_values(locals()))

    def wall(self, a: str = "", seed: int = 0, psi: float = 0.7) -> SheetAnswer:
        """Samples with consecutive seeds: six of each condition, or 24 of the condition a."""
        return self._explore.wall(_values(locals()))

    def triangle(self, a: str, b: str, c: str, seed: int = 0, psi: float = 0.7) -> SheetAnswer:
        """Mixtures of three conditions with one seed, in nine rows from a to the side between b and c."""
        return self._explore.triangle(_values(locals()))

    def mix(self, a: str, b: str, layers: str = "coarse", seed: int = 0, psi: float = 0.7) -> SheetAnswer:
        """Style mixing: images of a, in rows, with the coarse, middle or fine layers of images of b."""
        return self._explore.mix(_values(locals()))

    def moved(
        self,
        a: str,
        d1: float = 0,
        d2: float = 0,
        d3: float = 0,
        d4: float = 0,
        d5: float = 0,
        d6: float = 0,
        seed: int = 0,
        psi: float = 0.7,
    ) -> PictureAnswer:
        """An image of condition a after steps along six directions, each from -3 to 3 standard deviations."""
        return self._explore.moved(_values(locals()))

    def classify(
        self,
        photograph: str,
        panoramic: str | None = None,
        left: float = 0,
        top: float = 0,
        right: float = 1,
        bottom: float = 1,
    ) -> ClassifyAnswer:
        """What the classifier predicts for an uploaded photograph, by its token, or for a part of it."""
        return self._classify.classify(_values(locals()))

    def explain(
        self,
        photograph: str,
        target: str = MOST_PROBABLE,
        method: str = _METHOD,
        panoramic: str | None = None,
        left: float = 0,
        top: float = 0,
        right: float = 1,
        bottom: float = 1,
    ) -> MapAnswer:
        """Where the classifier looks in an uploaded photograph, by its token, or in a part of it."""
        return self._classify.explain(_values(locals()))

    def similar(
        self,
        photograph: str,
        panoramic: str | None = None,
        left: float = 0,
        top: float = 0,
        right: float = 1,
        bottom: float = 1,
    ) -> SimilarAnswer:
        """The images nearest to a photograph by features: of the training, where allowed, and generated."""
        return self._classify.similar(_values(locals()))


def _values(arguments: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in arguments.items() if name != "self"}
