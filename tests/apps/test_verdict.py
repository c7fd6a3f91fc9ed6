"""The verdict on an image, over all combinations of what may be known of it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from morphoscope.apps.verdict import Kind, percent, spread, verdict
from morphoscope.classify import Prediction
from morphoscope.classify.certainty.prior import Prior
from morphoscope.classify.prediction import pool

NAMES = ["a", "b", "c"]
SURE, UNSURE = [0.1, 0.7, 0.2], [0.25, 0.4, 0.35]
SETS = {None: None, 1: [False, True, False], 2: [False, True, True], 3: [True, True, True]}


def predicted(
    folds: list[list[float]], possible: list[bool] | None = None, novel: bool = False
) -> Prediction:
    """A prediction of one image by models with these probabilities, calibrated if `possible` is given."""
    per_fold = np.array(folds, np.float32)[:, None]
    if possible is None:
        return Prediction(NAMES, per_fold, *pool(per_fold))
    return Prediction(
        NAMES,
        per_fold,
        *pool(per_fold),
        coverage=0.9,
        prediction_sets=np.array([possible]),
        novel=np.array([novel]),
    )


@pytest.mark.parametrize(
    ("folds", "size", "novel"),
    list(itertools.product(([SURE], [SURE, SURE], [SURE, UNSURE], [UNSURE] * 3), SETS, (False, True))),
)
def test_one_verdict_by_precedence(folds: list[list[float]], size: int | None, novel: bool) -> None:
    found = verdict(predicted(folds, SETS[size], novel))
    calibrated = size is not None
    if novel and calibrated:
        assert found.kind is Kind.UNFAMILIAR
    elif SURE not in folds:
        assert found.kind is Kind.UNSURE
    elif calibrated and size > 1:
        assert found.kind is Kind.SEVERAL
    else:
        assert found.kind is Kind.ONE
    said = {
        Kind.UNFAMILIAR: "another kind of image than the training images",
        Kind.UNSURE: "Unsure:",
        Kind.SEVERAL: "No single answer:",
        Kind.ONE: "Most probable condition: b",
    }
    assert [kind for kind, words in said.items() if words in found.sentence] == [found.kind]
    assert ("remain possible" in found.sentence) == (found.kind is Kind.SEVERAL and size == 2)
    assert ("remains possible" in found.sentence) == (found.kind is Kind.ONE and calibrated)
    if not found.kind.answers:  # nothing beside it takes it back
        assert "possible" not in found.details and "Most probable" not in found.details
    elif not calibrated:
        assert "not calibrated" in found.details
    else:
        assert "90% of the time" in found.details


def test_sentences() -> None:
    several = verdict(predicted([SURE], [False, True, True]))
    assert several.sentence == "No single answer: b or c remain possible. b is the most probable with 70%."
    every = verdict(predicted([SURE], [True, True, True]))
    assert every.sentence.startswith("No single answer: no condition can be ruled out.")
    one = verdict(predicted([SURE, UNSURE], [False, True, False]))
    assert one.sentence == "Most probable condition: b with 56%; no other condition remains possible."
    assert "that of 2 models together; single models give it 40% to 70%" in one.details
    assert verdict(predicted([UNSURE] * 3)).sentence == "Unsure: no condition has a probability above 50%."


def test_the_prior_stands_beside_the_probability() -> None:
    for folds in ([SURE], [UNSURE]):
        found = predicted(folds)
        assert "is not known" in verdict(found).details
        known = verdict(replace(found, prior=Prior.uniform(3))).details
        assert "The probabilities assume equally frequent conditions." in known


def test_each_image_has_its_own() -> None:
    per_fold = np.array([[SURE, UNSURE]], np.float32)
    both = Prediction(NAMES, per_fold, *pool(per_fold))
    assert [verdict(both, image).kind.answers for image in (0, 1)] == [True, False]
    assert verdict(both, 1).kind is Kind.UNSURE


@pytest.mark.parametrize(("value", "text"), [(0.0, "< 1%"), (0.0149, "1%"), (0.724, "72%"), (0.999, "> 99%")])
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text


def test_spread() -> None:
    assert spread(0.2, 0.8) == "20% to 80%"
    assert spread(0.72, 0.721) == "72%"
