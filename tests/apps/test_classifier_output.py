"""The terminal output of an evaluation and of predictions, with and without a calibration."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from morphoscope.apps.commands.classifier_output import NOT_CALIBRATED, prediction_table, print_evaluation
from morphoscope.classify import Evaluation, Prediction, combine
from morphoscope.classify.certainty.novelty import NoveltyScores
from morphoscope.classify.certainty.prior import COHORT, Prior
from morphoscope.classify.evaluation import EvaluationFacts
from morphoscope.runtime.terminal import show

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def plain() -> Prediction:
    """Two models, three images of three conditions; in the second image they differ."""
    first = [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.4, 0.3, 0.3]]
    second = [[0.9, 0.1, 0.0], [0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]
    per_fold = np.array([first, second], np.float32)
    return Prediction(["blue", "green", "red"], per_fold, *combine(per_fold))


@pytest.fixture
def calibrated(plain: Prediction) -> Prediction:
    return replace(
        plain,
        uncalibrated=plain.combined,
        coverage=0.9,
        prediction_sets=np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]], bool),
        novelty=np.array([0.1, 0.2, 0.9], np.float32),
        novel=np.array([False, False, True]),
    )


def test_an_auxiliary_class_that_comes_first_is_named(capsys: Shown, plain: Prediction) -> None:
    joint = np.concatenate([plain.per_fold * [[[0.9], [0.4], [0.6]]], np.zeros((2, 3, 2))], axis=2)
    joint[:, :, 4] = 1 - joint.sum(axis=2)
    told = replace(plain, auxiliary=["nevus", "melanoma"], joint=joint.astype(np.float32))
    assert told.auxiliary_first == [None, "melanoma", "melanoma"]
    show(prediction_table(["a.png", "b.png", "c.png"], told))
    lines = [line for line in capsys.readouterr().out.splitlines() if ".png" in line]
    assert ["rather melanoma" in line for line in lines] == [False, True, True]


def evaluation(prediction: Prediction) -> Evaluation:
    return Evaluation(
        prediction.conditions,
        np.array(["a.png", "b.png", "c.png"]),
        np.array([0, 0, 1]),
        np.array(["x", "y", "z"]),
        prediction,
        EvaluationFacts("all", "toy", "0" * 16),
        pd.DataFrame({"sex": ["female", "male", "male"]}),
        unlike=None if prediction.novelty is None else NoveltyScores(prediction.novelty, prediction.novel),
    )


def test_predictions_come_with_what_is_possible_and_what_casts_doubt(
    capsys: Shown, calibrated: Prediction
) -> None:
    show(prediction_table(["a.png", "b.png", "c.png"], calibrated))
    lines = [line for line in capsys.readouterr().out.splitlines() if ".png" in line]
    assert "possible (90%)" not in lines[0] and "unsure" not in lines[0] and "agree" not in lines[0]
    assert "green, blue" in lines[1] and "1 of 2 models agree" in lines[1]  # the more probable one first
    assert "unsure; another kind of image than the training images" in lines[2]


def test_predictions_without_calibration_have_no_sets(capsys: Shown, plain: Prediction) -> None:
    show(prediction_table(["a.png", "b.png", "c.png"], plain))
    text = capsys.readouterr().out
    assert "possible" not in text and "training images" not in text and "unsure" in text


def test_evaluation_prints_the_essentials(capsys: Shown, calibrated: Prediction) -> None:
    print_evaluation(evaluation(calibrated))
    text = capsys.readouterr().out
    assert "top-2 accuracy 1.000" in text
    assert "for 90% coverage contain the true condition in 1.000" in text
    assert "2.00 conditions on average, a single one in 33%" in text
    assert "called another kind of image: 0.333" in text and "5% intended" in text
    assert "of 3 images of another kind: detected 0.333" in text and "ROC curve 0.500" in text
    assert text.count("fewer than 20 images") == 2 and "0.000 (0.000 to 0.710)" in text
    assert "No image of red" in text and "would show up to" in text
    assert NOT_CALIBRATED not in text


def test_the_prior_stands_beside_the_results(capsys: Shown, calibrated: Prediction) -> None:
    print_evaluation(evaluation(calibrated))
    assert "assume is not known" in capsys.readouterr().out
    cohort = Prior.of(np.array([1, 8, 1]), COHORT)
    balanced = replace(calibrated, prior=Prior.uniform(3))
    print_evaluation(replace(evaluation(balanced), cohort_prior=cohort))
    text = " ".join(capsys.readouterr().out.split())
    assert "The probabilities assume equally frequent conditions." in text
    assert "For the training cohort's frequencies: accuracy 0.667" in text  # the second blue becomes green
    assert "Calibration by condition, for the training cohort's frequencies:" in text


def test_conditions_stand_worst_covered_first_beside_what_is_guaranteed(
    capsys: Shown, calibrated: Prediction
) -> None:
    sets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1]], bool)  # the third image, green, is not covered
    worse = evaluation(replace(calibrated, prediction_sets=sets))
    facts = replace(worse.facts, guarantees={"blue": 0.71, "green": 0.0, "red": 0.5})
    print_evaluation(replace(worse, facts=facts))
    text = capsys.readouterr().out
    assert "guaranteed" in text and "0.71" in text
    assert text.index("green") < text.index("blue")


def test_both_rules_are_named(capsys: Shown, plain: Prediction) -> None:
    joint = np.concatenate([0.9 * plain.per_fold, np.full((2, 3, 1), 0.1)], axis=2)
    joint[:, 0] = [0.2, 0.1, 0.1, 0.6]  # an auxiliary class for the first image
    told = evaluation(replace(plain, auxiliary=["nevus"], joint=joint.astype(np.float32)))
    for rule, first in (("targets", "target conditions only"), ("published", "published rule")):
        facts = replace(told.facts, auxiliary=["nevus"], rule=rule)
        one = replace(told, facts=facts)
        assert next(iter(one.rules)) == first
        assert one.rules["published rule"].accuracy.value < one.rules["target conditions only"].accuracy.value
        assert one.rules["published rule"].auxiliary == pytest.approx(1 / 3)
        print_evaluation(one)
        text = capsys.readouterr().out
        assert "published rule: balanced accuracy" in text and "an auxiliary class in 33%" in text


def test_evaluation_says_that_there_is_no_calibration(capsys: Shown, plain: Prediction) -> None:
    print_evaluation(evaluation(plain))
    assert "not calibrated" in capsys.readouterr().out


def test_evaluation_warns_of_what_the_leak_check_did_not_cover(capsys: Shown, plain: Prediction) -> None:
    noted = EvaluationFacts("test", "toy", "0" * 16, leak_note="A foreign model.")
    print_evaluation(replace(evaluation(plain), facts=noted))
    assert "Warning: A foreign model." in capsys.readouterr().out


def test_evaluation_says_why_a_calibration_was_not_used(capsys: Shown, plain: Prediction) -> None:
    noted = EvaluationFacts("out_of_fold", "toy", "0" * 16, calibration_note="Nothing is left.")
    print_evaluation(replace(evaluation(plain), facts=noted))
    text = capsys.readouterr().out
    assert "Nothing is left." in text and "not calibrated" not in text
