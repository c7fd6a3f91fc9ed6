"""What the Learn tab shows, without a page."""

import base64
import csv
import io
from collections import Counter
from typing import Any

import numpy as np
import pytest
from studio_models import Brightness, tiny_generator

from morphoscope.apps.gallery import Gallery
from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio.learn import LEVELS, Learn
from morphoscope.apps.studio.words import MOST_PROBABLE
from morphoscope.cohort.marked_files import file_provenance
from morphoscope.configs import UserError

CONDITIONS = ["dark", "pale", "red"]
VALUES: dict[str, Any] = {"quiz": 5, "number": 1, "count": 6, "level": 0, "like": 0, "source": "generated"}
IMAGE = np.zeros((8, 8, 3), np.uint8)
SCORES = {
    "truths": "0,1,2,0",
    "answers": "0,1,1,0",
    "predicted": "0,0,1,-1",
    "confidences": "5,2,1,4",
    "levels": "0,1,2,0",
    "views": "0,0,1,2",
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench(tiny_generator(tmp_path_factory.mktemp("learn"), CONDITIONS), Brightness())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def learn(bench: Workbench) -> Learn:
    """A quiz with six photographs, each of its own grey; those of patients in fold 0 and of the test fold."""
    views = ["focused"] * 3 + ["panoramic"] * 3
    folds = ["test"] * 5 + ["0"]
    return Learn(
        bench,
        Gallery(CONDITIONS * 2, views, folds, lambda number: np.full((8, 8, 3), 40 * number, np.uint8)),
    )


def truth(learn: Learn, **values: object) -> str:
    return learn.reveal({**VALUES, "answer": "dark", **values})["truth"]


class TestQuestions:
    def test_same_values_give_the_same_question_and_another_quiz_another(self, learn: Learn) -> None:
        assert learn.question(VALUES) == learn.question(VALUES)
        others = {learn.question({**VALUES, "quiz": quiz})["picture"] for quiz in range(4)}
        assert len(others) == 4

    def test_each_round_has_every_condition(self, learn: Learn) -> None:
        for start in (1, 4):
            assert {truth(learn, number=start + n) for n in range(3)} == set(CONDITIONS)

    def test_nothing_gives_the_answer_away(self, learn: Learn) -> None:
        for number in range(1, 4):
            question = learn.question({**VALUES, "number": number})
            origin = file_provenance(base64.b64decode(question["picture"].partition(",")[2]))
            assert origin is not None and origin.label is None and origin.seed is None
            assert not any(name in question["mark"] for name in CONDITIONS)
            assert question["options"] == CONDITIONS

    def test_condition_of_an_earlier_question_comes_again_with_another_image(self, learn: Learn) -> None:
        first, again = VALUES, {**VALUES, "number": 6, "like": 1}
        assert truth(learn, **again) == truth(learn, **first)
        assert learn.question(again)["picture"] != learn.question(first)["picture"]

    def test_harder_images_lie_between_two_conditions(self, learn: Learn) -> None:
        name = truth(learn)
        plain = learn.reveal({**VALUES, "answer": name})["morph"]["captions"][-1]
        hard = learn.reveal({**VALUES, "level": LEVELS - 1, "answer": name})["morph"]["captions"][-1]
        assert plain == f"100% {name}"
        assert f"60% {name}" in hard and "40% " in hard
        assert truth(learn, level=LEVELS - 1) == name

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"number": 101}, "The field number is 101"),
            ({"quiz": -1}, "The field quiz is -1"),
            ({"level": LEVELS}, "The field level is 8"),
            ({"like": 1.5}, "takes whole numbers"),
            ({"source": "/etc"}, "The field source is '/etc'; choose one of generated, photographs."),
            ({"answer": "measles"}, "The field answer is 'measles'"),
            ({"answer": None}, "The field answer is None"),
        ],
    )
    def test_unusable_values_are_refused(self, learn: Learn, values: dict[str, Any], reason: str) -> None:
        with pytest.raises(UserError, match=reason):
            learn.reveal({**VALUES, "answer": "dark", **values})


class TestReveal:
    def test_morph_leads_from_the_wrong_answer_to_the_truth(self, learn: Learn) -> None:
        name = truth(learn)
        wrong = next(other for other in CONDITIONS if other != name)
        found = learn.reveal({**VALUES, "answer": wrong})
        assert (found["correct"], found["start"]) == (False, wrong)
        assert found["morph"]["captions"][0] == f"100% {wrong}"
        assert found["morph"]["captions"][-1] == f"100% {name}"
        assert found["sentence"] == f"It is {name}; you chose {wrong}."

    def test_after_a_correct_answer_it_leads_from_another_condition(self, learn: Learn) -> None:
        name = truth(learn)
        found = learn.reveal({**VALUES, "answer": name})
        assert found["correct"] and found["start"] != name
        assert found["predicted"] in ("dark", "pale")

    def test_evidence_is_for_the_truth_if_the_classifier_knows_it(self, learn: Learn) -> None:
        for number in range(1, 4):
            values = {**VALUES, "number": number}
            name = truth(learn, number=number)
            assert MOST_PROBABLE not in learn.evidence(values)["title"]
            if name in ("dark", "pale"):
                assert learn.evidence(values)["title"].startswith(f"Evidence for {name}")


class TestPhotographs:
    def test_focused_ones_come_first(self, learn: Learn) -> None:
        values = {**VALUES, "source": "photographs"}
        views = [learn.question({**values, "number": number})["view"] for number in range(1, 7)]
        assert views == ["focused"] * 3 + ["panoramic"] * 3
        assert Counter(truth(learn, source="photographs", number=number) for number in range(1, 7)) == (
            dict.fromkeys(CONDITIONS, 2)
        )

    def test_they_are_not_marked_as_synthetic(self, learn: Learn) -> None:
        question = learn.question({**VALUES, "source": "photographs"})
        assert question["mark"] == ""
        assert file_provenance(base64.b64decode(question["picture"].partition(",")[2])) is None

    def test_model_that_was_not_trained_on_it_predicts(
        self, learn: Learn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def predict_fold(fold: str, images: list[np.ndarray]) -> Any:
            asked.append(fold)
            return type("Output", (), {"probabilities": np.array([[0.2, 0.8]])})

        monkeypatch.setattr(learn.workbench.ensemble, "predict_fold", predict_fold)
        values = {**VALUES, "source": "photographs", "answer": "dark"}
        found = [learn.reveal({**values, "number": number}) for number in range(4, 7)]
        (red,) = (one for one in found if one["truth"] == "red")
        assert asked == ["0"] and red["predicted"] == "pale"
        assert "by the model that was not trained on this image" in red["ensemble"]

    def test_conditions_without_an_image_are_not_asked_about(self, bench: Workbench) -> None:
        gallery = Gallery(["pale", "red", "pale"], ["focused"] * 2 + ["face"], ["test"] * 3, lambda _: IMAGE)
        partly = Learn(bench, gallery)
        assert partly.sources == ["generated", "photographs"]
        assert {truth(partly, source="photographs", number=number) for number in range(1, 7)} == {"pale"}
        assert Learn(bench, Gallery(["dark"], [""], ["test"], lambda _: IMAGE)).sources[1:] == ["photographs"]
        assert Learn(bench, Gallery(["blue"], [""], ["test"], lambda _: IMAGE)).sources == ["generated"]

    def test_without_any_there_is_one_source(self, bench: Workbench) -> None:
        assert Learn(bench, None).sources == ["generated"]


class TestScore:
    def test_learner_ensemble_and_chance(self, learn: Learn) -> None:
        found = learn.score(SCORES)
        you, ensemble = found["shares"]
        assert (you["correct"], ensemble["correct"], you["total"]) == (3, 1, 4)
        assert you["low"] == pytest.approx(0.3006, abs=1e-3) and you["high"] == pytest.approx(
            0.9544, abs=1e-3
        )
        assert found["chance"] == pytest.approx(1 / 3)
        assert found["confusion"] == [[2, 0, 0], [0, 1, 0], [0, 1, 0]]
        assert "Only you were correct 2 times, only the ensemble 0 times." in found["sentences"]
        assert "When you were sure or certain, 2 of 2 answers were correct." in found["sentences"]
        assert found["sentences"][0].startswith("These answers do not show")

    def test_table_has_one_row_per_question(self, learn: Learn) -> None:
        rows = list(csv.DictReader(io.StringIO(learn.score(SCORES)["csv"])))
        assert rows[2] == {
            "position": "3",
            "view": "focused",
            "condition": "red",
            "answer": "pale",
            "confidence": "1",
            "ensemble": "pale",
            "level": "2",
        }
        assert rows[3]["ensemble"] == "" and len(rows) == 4

    @pytest.mark.parametrize(
        "values",
        [
            {"truths": "0,1"},
            {"truths": "0,1,2,-1"},
            {"answers": "a"},
            {"answers": None},
            {"answers": "0," * 600},
            {"answers": "0,1,1,9"},
            {"confidences": "6,1,1,1"},
            {"views": ""},
        ],
    )
    def test_other_rows_are_refused(self, learn: Learn, values: dict[str, Any]) -> None:
        with pytest.raises(UserError, match=r"whole numbers, separated by commas|The field"):
            learn.score({**SCORES, **values})
