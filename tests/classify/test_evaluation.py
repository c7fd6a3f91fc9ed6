import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from morphoscope.classify import Ensemble, Evaluation, Prediction, evaluate
from morphoscope.classify.prediction import combine
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError


@pytest.fixture
def evaluation() -> Evaluation:
    """Five images of two conditions out of three: three right, one of them unsure."""
    per_fold = np.array(
        [[[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.1, 0.9, 0.0], [0.2, 0.2, 0.6]]], np.float32
    )
    combined, unsure = combine(per_fold)
    prediction = Prediction(["blue", "green", "red"], per_fold, combined, unsure)
    files = np.array([f"{i}.png" for i in range(5)])
    truth, groups = np.array([0, 0, 0, 1, 1]), np.array(["a", "b", "c", "d", "e"])
    return Evaluation(
        prediction.conditions, files, truth, groups, prediction, {"rows": "all", "cohort": "toy"}
    )


def test_figures_have_their_known_values(evaluation: Evaluation) -> None:
    assert evaluation.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert evaluation.accuracy.value == pytest.approx(0.6)
    assert evaluation.balanced_accuracy.value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert set(evaluation.recall) == {"blue", "green"}
    assert evaluation.recall["green"] == pytest.approx((0.5, 0.0945, 0.9055), abs=5e-5)  # Wilson, 1 in 2


def test_everything_is_written(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.write(tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["images"] == 5 and metrics["unsure"] == pytest.approx(0.2)
    assert metrics["recall"]["blue"]["images"] == 3
    assert metrics["balanced_accuracy"]["low"] < metrics["balanced_accuracy"]["value"]
    table = pd.read_csv(tmp_path / "out" / "probabilities.csv")
    assert list(table.columns) == ["file", "condition", "predicted", "unsure", "p_blue", "p_green", "p_red"]
    assert table["predicted"].tolist() == ["blue", "green", "blue", "green", "red"]
    assert table["unsure"].tolist() == [False, False, True, False, False]
    with Image.open(tmp_path / "out" / "confusion.png") as picture:
        assert min(picture.size) > 400
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "confusion.png",
        "metrics.json",
        "probabilities.csv",
    ]


@pytest.fixture
def fitting(ensemble: Ensemble, cohort: Cohort) -> Ensemble:
    """The untrained ensemble, as if trained on the cohort."""
    ensemble.metadata["cohort_digest"] = cohort.digest
    return ensemble


def test_out_of_fold_images_are_judged_by_the_model_that_did_not_see_them(
    fitting: Ensemble, cohort: Cohort
) -> None:
    found = evaluate(fitting, cohort, rows="out_of_fold")
    rows = cohort.rows[cohort.rows["fold"] != "test"]
    assert found.files.tolist() == rows["file"].tolist()
    for fold in fitting.folds:
        here = (rows["fold"] == fold).to_numpy()
        alone = fitting.fold(fold).predict(cohort.images(32)[rows.index[here]])
        np.testing.assert_allclose(found.prediction.combined[here], alone.combined, atol=1e-5)


def test_test_rows_are_those_of_the_test_fold(fitting: Ensemble, cohort: Cohort) -> None:
    found = evaluate(fitting, cohort)
    assert found.files.tolist() == cohort.rows["file"][cohort.rows["fold"] == "test"].tolist()
    assert found.prediction.per_fold.shape[0] == 3
    assert found.metrics()["rows"] == "test"


def test_a_cohort_that_does_not_fit_is_refused(fitting: Ensemble, cohort: Cohort) -> None:
    other = cohort.split(folds=3, seed=9, test_fraction=0.25)
    for rows in ("test", "out_of_fold"):
        with pytest.raises(UserError, match="not the split"):
            evaluate(fitting, other, rows=rows)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="would count training images"):
        evaluate(fitting, cohort, rows="all")
    with pytest.raises(UserError, match="rows 'train'"):
        evaluate(fitting, cohort, rows="train")  # type: ignore[arg-type]
    strange = Cohort.from_rows(cohort.root, cohort.rows.assign(condition="violet"))
    with pytest.raises(UserError, match="does not know violet"):
        evaluate(fitting, strange, rows="all")


def test_another_cohort_is_judged_whole(fitting: Ensemble, cohort: Cohort) -> None:
    outside = cohort.select(np.arange(10))  # stands for other patients: its digest differs
    found = evaluate(fitting, outside, rows="all")
    assert len(found.files) == 10
    assert set(found.recall) == {"blue"}


def test_images_of_the_training_are_found_in_any_other_cohort(
    fitting: Ensemble, cohort: Cohort, tmp_path: Path
) -> None:
    renamed = cohort.rows.assign(file="other-" + cohort.rows["file"])[:20]
    for old, new in zip(cohort.rows["file"], renamed["file"], strict=False):
        (tmp_path / new).write_bytes((cohort.root / old).read_bytes())
    outside = Cohort.from_rows(tmp_path, renamed.assign(fold=""))
    fitting.metadata["seen_images"] = cohort.image_hashes[3:5]
    with pytest.raises(UserError, match=r"on 2 of these images: other-blue-3\.png, other-blue-4\.png\."):
        evaluate(fitting, outside, rows="all")
    fitting.metadata["seen_images"] = cohort.image_hashes[30:]
    assert len(evaluate(fitting, outside, rows="all").files) == 20


def test_figures_say_whether_the_epoch_was_chosen_on_their_images(fitting: Ensemble, cohort: Cohort) -> None:
    assert evaluate(fitting, cohort, rows="out_of_fold").metrics()["epoch_chosen_on_these_images"] is True
    assert evaluate(fitting, cohort, rows="test").metrics()["epoch_chosen_on_these_images"] is False


def test_a_cohort_without_test_images_says_so(ensemble: Ensemble, cohort: Cohort) -> None:
    without = cohort.select(cohort.rows["fold"] != "test")
    ensemble.metadata["cohort_digest"] = without.digest
    with pytest.raises(UserError, match="no image to judge"):
        evaluate(ensemble, without)
