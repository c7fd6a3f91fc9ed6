"""The page of an evaluation says what the metrics say, and what is missing."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify import Evaluation, Prediction, combine
from morphoscope.classify.evaluation import EvaluationFacts, write_evaluation_page
from morphoscope.cohort.conditions import Description
from morphoscope.configs import UserError


def evaluation(calibrated: bool) -> Evaluation:
    """Six images of two of three conditions; in each pair of images of one patient the second is wrong."""
    per_fold = np.array(
        [[[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]] * 2 + [[0.1, 0.8, 0.1], [0.8, 0.1, 0.1]]], np.float32
    )
    prediction = Prediction(["blue", "green", "$red<b>"], per_fold, *combine(per_fold))
    if calibrated:
        sets, novel = prediction.combined >= 0.1, np.array([True] + [False] * 5)
        prediction = replace(
            prediction,
            uncalibrated=prediction.combined,
            coverage=0.9,
            prediction_sets=sets,
            novelty=np.linspace(0, 1, 6, dtype=np.float32),
            novel=novel,
        )
    truth, groups = np.array([0, 0, 0, 0, 1, 1]), np.array(["a", "a", "b", "b", "c", "c"])
    files = np.array([f"{i}.png" for i in range(6)])
    facts = EvaluationFacts("all", "toy", "0" * 16, ["0"], phantom=True, guarantees={"blue": 0.68})
    return Evaluation(prediction.conditions, files, truth, groups, prediction, facts)


def page_of(found: Evaluation, folder: Path) -> str:
    found.write(folder)
    page = write_evaluation_page(found, folder, {"blue": Description(name="blue", full_name="blue spots")})
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("calibrated", [False, True])
def test_the_page_has_the_metrics_with_their_intervals(calibrated: bool, tmp_path: Path) -> None:
    found = evaluation(calibrated)
    text = page_of(found, tmp_path)
    words = " ".join(re.sub(r"<[^>]*>", " ", text).split())
    score = found.balanced_accuracy
    assert f"Balanced accuracy {score.value:.3f} (95% interval {score.low:.3f} to {score.high:.3f})" in words
    assert "on 6 images of 3 patients" in words
    assert "trained on phantoms" in words and "Nothing here is a diagnosis" in words
    assert "No image of $red&lt;b&gt;" in words and "<b>" not in text
    assert "blue (blue spots)" in words and "every image of a cohort that no model has seen" in words
    assert text.count("data:image/svg+xml;base64,") == 2
    assert ("Prediction sets" in words) == ("Another kind of image" in words) == calibrated
    assert ("is not calibrated" in words) == (found.facts.calibration is None)
    noted = replace(found, facts=replace(found.facts, leak_note="A foreign model."))
    assert "A foreign model." in page_of(noted, tmp_path) and "A foreign model." not in text
    if calibrated:
        assert "stated coverage 90%" in words and "0.68" in words


def test_strata_are_on_the_page(tmp_path: Path) -> None:
    known = pd.DataFrame({"sex": ["female"] * 2 + ["male"] * 4})
    text = page_of(replace(evaluation(False), attributes=known), tmp_path)
    assert "sex: female (fewer than 20 images)" in text and "Subgroups" in text


def test_the_same_evaluation_gives_the_same_figures(tmp_path: Path) -> None:
    for name in ("one", "two"):
        evaluation(True).write(tmp_path / name)
    for file in ("confusion.svg", "confusion.pdf", "reliability.svg", "reliability.pdf"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert (tmp_path / "one" / "confusion.pdf").read_bytes().startswith(b"%PDF")


def test_a_folder_without_the_figures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"confusion\.svg: no such file"):
        write_evaluation_page(evaluation(False), tmp_path, {})
    assert list(tmp_path.iterdir()) == []
