"""What the Learn tab shows: questions about images, what they were, and how well somebody knows conditions.

A question follows from its number and the quiz's seed alone: nothing about whoever answers is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from morphoscope.apps.gallery import Gallery
from morphoscope.apps.morphing import Morph, Workbench
from morphoscope.apps.studio.answers import (
    PICTURE_SIDE,
    MapAnswer,
    MorphAnswer,
    Shown,
    map_answer,
    morph_answer,
)
from morphoscope.apps.studio.marks import data_uri, fitted
from morphoscope.apps.studio.requests import MAX_SEED, chosen_of, whole_number
from morphoscope.apps.studio.scores import ScoreAnswer, score
from morphoscope.apps.texts import text
from morphoscope.apps.verdict import percent, verdict
from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import explained, long_name
from morphoscope.cohort.provenance import mixture
from morphoscope.generate.latents import End

MOST_QUESTIONS = 100
LEVELS = 8
"""Of difficulty: at level 0 an image is of one condition, at the last one 60% of it and 40% of another."""
_MOST_OF_OTHER = 0.4
PSI = 0.7
"""Truncation of the generated images."""
_SEEDS = 10_000

Values = Mapping[str, Any]


class QuestionAnswer(TypedDict):
    """A question; nothing in it says what the image shows. `view` is "" for a generated image."""

    number: int
    view: str
    picture: str
    mark: str
    options: list[str]


class RevealAnswer(TypedDict):
    """What the image of a question was.

    `predicted` is the ensemble's answer to the same image, of models that were not trained on it. `morph`
    leads to the image's condition from the one that was chosen or, after a correct answer, from another one
    (`start`).
    """

    truth: str
    explained: str
    correct: bool
    sentence: str
    predicted: str
    ensemble: str
    start: str
    morph: MorphAnswer


@dataclass(frozen=True)
class _Question:
    """What a question is about.

    Attributes:
        truth, other: its condition, and the one that it may be mixed with.
        share: of the other condition, 0 to 0.4.
        seed: of the generator.
        image, view, fold: of a photograph; None and "" for a generated image.
    """

    truth: str
    other: str
    share: float
    seed: int
    image: np.ndarray | None = None
    view: str = ""
    fold: str = ""

    @property
    def label(self) -> dict[str, float]:
        return mixture(self.truth, self.other, self.share)


class Learn:
    """The quiz; methods raise UserError for unusable values.

    All take `quiz` (a seed), `number` (from 1), `count` (of questions), `level`, `source` (generated or
    photographs), and `like`, the number of an earlier question whose condition comes again, or 0.
    """

    def __init__(self, workbench: Workbench, photographs: Gallery | None) -> None:
        self.workbench = workbench
        self._sources: dict[str, Callable[[Values], _Question]] = {"generated": self._generated}
        known = [] if photographs is None else photographs.complete(self.options)
        if photographs is not None and known:
            self._sources["photographs"] = lambda values: self._photograph(values, photographs, known)

    @property
    def sources(self) -> list[str]:
        """Where the images of a quiz can come from."""
        return list(self._sources)

    @property
    def options(self) -> list[str]:
        """The conditions that can be chosen: those of the generator, which shows the way between them."""
        return self.workbench.generator.conditions

    def asked(self, quiz: int, number: int) -> tuple[np.ndarray, str]:
        """The generated image of a question at level 0, uint8 [R, R, 3], and its condition: for handouts."""
        question = self._generated({"quiz": quiz, "number": number, "level": 0})
        return self._shown(question).image, question.truth

    def question(self, values: Values) -> QuestionAnswer:
        """The image of a question."""
        question = self._question(values)
        shown = self._shown(question)
        # What the whole mark would say is the answer.
        origin = shown.origin and Provenance(
            generator=shown.origin.generator, phantoms_only=shown.origin.phantoms_only, psi=shown.origin.psi
        )
        return QuestionAnswer(
            number=_number(values),
            view=question.view,
            picture=data_uri(fitted(shown.image, PICTURE_SIDE), origin, printed=False),
            mark=origin.summary if origin else "",
            options=self.options,
        )

    def reveal(self, values: Values) -> RevealAnswer:
        """What the image was, what the ensemble says, and the way from the `answer` to the truth."""
        question, answer = self._question(values), chosen_of("answer", values.get("answer"), self.options)
        correct = answer == question.truth
        start = question.other if correct else answer
        ends = End(question.seed, {start: 1.0}), End(question.seed, question.label)
        known = self.workbench.generator.descriptions
        predicted, said = self._prediction(question)
        key = "learn.correct" if correct else "learn.wrong"
        return RevealAnswer(
            truth=question.truth,
            explained=explained(question.truth, known),
            correct=correct,
            sentence=text(key, truth=long_name(question.truth, known), answer=answer),
            predicted=predicted,
            ensemble=said,
            start=start,
            morph=morph_answer(self.workbench, self.workbench.coarse(Morph(*ends, PSI))),
        )

    def evidence(self, values: Values) -> MapAnswer:
        """Where the classifier looks in a question's image: evidence for its condition, by Grad-CAM."""
        question = self._question(values)
        shown = self._shown(question)
        known = question.truth in self.workbench.ensemble.conditions
        found = self.workbench.attribute(shown.image, question.truth if known else None, "gradcam")
        return map_answer(self.workbench, shown, found)

    def score(self, values: Values) -> ScoreAnswer:
        """How many answers of the learner and the ensemble were correct, and what was confused.

        Args:
            values: truths, answers, predicted, confidences, levels, views: numbers, separated by commas, one
                per question. Conditions are counted from 0 in the order of `options`; -1 is none of them.
        """
        return score(values, self.options)

    def _question(self, values: Values) -> _Question:
        return self._sources[chosen_of("source", values.get("source"), self.sources)](values)

    def _generated(self, values: Values) -> _Question:
        level = whole_number("level", values.get("level"), LEVELS - 1)
        truth, other, random = _conditions(values, self.options)
        share = _MOST_OF_OTHER * level / (LEVELS - 1)
        return _Question(truth, other, share, int(random.integers(_SEEDS)))

    def _photograph(self, values: Values, photographs: Gallery, known: Sequence[str]) -> _Question:
        """As in the survey, first all focused photographs, then the panoramic ones, if there are both."""
        truth, other, random = _conditions(values, known)
        count = whole_number("count", values.get("count"), MOST_QUESTIONS)
        views = photographs.ordered_views
        part = (_number(values) - 1) * len(views) // max(count, 1)
        view = views[min(part, len(views) - 1)]
        rows = photographs.rows_of(truth, view)
        row, seed = rows[int(random.integers(len(rows)))], int(random.integers(_SEEDS))
        return _Question(truth, other, 0.0, seed, photographs.image(row), view, photographs.folds[row])

    def _shown(self, question: _Question) -> Shown:
        if question.image is not None:
            return Shown(question.image, None, text("learn.photograph", condition=question.truth))
        end = End(question.seed, question.label)
        morph, bench = Morph(end, end, PSI), self.workbench
        return Shown(bench.image(morph, 0.0), bench.provenance(morph, 0.0), bench.caption(morph, 0.0))

    def _prediction(self, question: _Question) -> tuple[str, str]:
        """(the most probable condition, what the classifier says), by models that have not seen the image."""
        bench, image = self.workbench, self._shown(question).image
        names = bench.ensemble.conditions
        if question.fold not in bench.ensemble.folds:
            found = bench.predict(image)
            return names[int(found.predicted[0])], verdict(found).sentence
        with bench.turn:
            (one,) = bench.ensemble.predict_fold(question.fold, [bench.model_input(image)]).probabilities
        name, share = names[int(one.argmax())], percent(float(one.max()))
        return name, text("learn.one_model", name=name, share=share)


def _conditions(values: Values, names: Sequence[str]) -> tuple[str, str, np.random.Generator]:
    """A question's condition and another one, and what draws everything else.

    Each round through the conditions has all of them, in random order.
    """
    seed, own = whole_number("quiz", values.get("quiz"), MAX_SEED), _number(values)
    like = whole_number("like", values.get("like", 0), MOST_QUESTIONS)
    turn, place = divmod((like or own) - 1, len(names))
    order = np.random.default_rng([seed, turn]).permutation(len(names))
    truth, random = names[order[place]], np.random.default_rng([seed, own, 1])
    others = [name for name in names if name != truth] or [truth]
    return truth, others[int(random.integers(len(others)))], random


def _number(values: Values) -> int:
    """Of the question, from 1."""
    return max(1, whole_number("number", values.get("number"), MOST_QUESTIONS))
