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
from morphoscope.apps.studio.face_answers import FaceAnswer, FaceEvidenceAnswer, FaceGalleryAnswer
from morphoscope.apps.studio.faces import Faces
from morphoscope.apps.studio.learn import Learn, QuestionAnswer, RevealAnswer
from morphoscope.apps.studio.reporting import reported
from morphoscope.apps.studio.scores import ScoreAnswer
from morphoscope.apps.studio.teach import MaterialAnswer, Teach
from morphoscope.apps.studio.words import MOST_PROBABLE

_METHOD = "Integrated gradients"


class Api:
    """The endpoints; each method is one, under its own name.

    A question of a quiz is selected by `number` (from 1), `quiz` (a seed), `count`, `level` and `source`
    (generated or photographs); `like` is the number of an earlier question whose condition comes again.

    `photograph_a` and `photograph_b` are tokens of uploaded files of projected photographs, in place of
    seeds; the condition of such an end may be empty, and is its own then.
    """

    def __init__(
        self,
        actions: Actions,
        explore: Explore,
        classify: Classify,
        learn: Learn,
        teach: Teach,
        faces: Faces,
    ) -> None:
        self._actions, self._explore, self._classify = actions, explore, classify
        self._learn, self._teach, self._faces = learn, teach, faces

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
            self.question,
            self.reveal,
            self.evidence,
            self.score,
            self.material,
            self.face,
            self.face_evidence,
            self.face_gallery,
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

    def question(
        self,
        number: int,
        quiz: int = 0,
        count: int = 14,
        level: int = 0,
        like: int = 0,
        source: str = "generated",
    ) -> QuestionAnswer:
        """The image of a question of a quiz, without its condition; level 0 (one condition) to 7."""
        return self._learn.question(_values(locals()))

    def reveal(
        self,
        number: int,
        answer: str,
        quiz: int = 0,
        count: int = 14,
        level: int = 0,
        like: int = 0,
        source: str = "generated",
    ) -> RevealAnswer:
        """What a question's image was, and the morph to it from the condition that was answered."""
        return self._learn.reveal(_values(locals()))

    def evidence(
        self,
        number: int,
        quiz: int = 0,
        count: int = 14,
        level: int = 0,
        like: int = 0,
        source: str = "generated",
    ) -> MapAnswer:
        """Where the classifier looks in a question's image."""
        return self._learn.evidence(_values(locals()))

    def score(
        self, truths: str, answers: str, predicted: str, confidences: str, levels: str, views: str
    ) -> ScoreAnswer:
        """The score of answers, each argument a number per question: "0,3,1"."""
        return self._learn.score(_values(locals()))

    def material(
        self,
        kind: str,
        format: str,
        a: str = "",
        b: str = "",
        c: str = "",
        seed: int = 0,
        psi: float = 0.7,
        count: int = 6,
        rows: int = 1,
        title: str = "",
        captions: bool = True,
    ) -> MaterialAnswer:
        """Teaching material as files.

        kind: sheet (of a, or of all conditions), strip, triangle, film or handout (quiz `seed`); format: png,
        slide or pdf, and mp4 or gif for a film.
        """
        return self._teach.material(_values(locals()))

    def face(self, photograph: str, face: int = 0) -> FaceAnswer:
        """The faces of an uploaded photograph, by its token, and the gallery's syndromes ranked for one.

        face: its number if there are several, 0 for the largest. Not a diagnosis.
        """
        return self._faces.look(_values(locals()))

    def face_evidence(
        self, photograph: str, face: int = 0, syndrome: str = "", gradients: bool = True
    ) -> FaceEvidenceAnswer:
        """Which parts of a face speak for a syndrome, by default the most similar one."""
        return self._faces.evidence(_values(locals()))

    def face_gallery(self) -> FaceGalleryAnswer:
        """What is known about the gallery of faces, and a map of its images."""
        return self._faces.gallery(_values(locals()))


def _values(arguments: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in arguments.items() if name != "self"}
