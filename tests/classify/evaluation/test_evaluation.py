import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from morphoscope.classify import Ensemble, Evaluation, Prediction, evaluate
from morphoscope.classify.certainty import conformal
from morphoscope.classify.evaluation import EvaluationFacts
from morphoscope.classify.prediction import combine
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs import UserError


@pytest.fixture
def evaluation() -> Evaluation:
    """Five images of two of three conditions: three correct, one of them unsure."""
    per_fold = np.array(
        [[[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.1, 0.9, 0.0], [0.2, 0.2, 0.6]]], np.float32
    )
    combined, unsure = combine(per_fold)
    prediction = Prediction(["blue", "green", "red"], per_fold, combined, unsure)
    files = np.array([f"{i}.png" for i in range(5)])
    truth, groups = np.array([0, 0, 0, 1, 1]), np.array(["a", "b", "c", "d", "e"])
    facts = EvaluationFacts("all", "toy", "0" * 16)
    return Evaluation(prediction.conditions, files, truth, groups, prediction, facts)


def test_metrics_have_their_known_values(evaluation: Evaluation) -> None:
    assert evaluation.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert evaluation.accuracy.value == pytest.approx(0.6)
    assert evaluation.balanced_accuracy.value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert set(evaluation.recall) == {"blue", "green"}
    assert evaluation.recall["green"] == pytest.approx((0.5, 0.0945, 0.9055), abs=5e-5)  # 1 in 2
    assert evaluation.missing == ["red"]


def test_intervals_allow_for_several_images_of_one_patient(evaluation: Evaluation) -> None:
    one_patient_each = evaluation.accuracy
    two_patients = replace(evaluation, groups=np.array(["a", "a", "b", "a", "b"])).accuracy
    assert two_patients.value == one_patient_each.value
    assert two_patients.high - two_patients.low > one_patient_each.high - one_patient_each.low


def test_everything_is_written(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.write(tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["images"] == 5 and metrics["unsure"] == pytest.approx(0.2)
    assert metrics["recall"]["blue"]["images"] == 3
    assert metrics["balanced_accuracy"]["low"] < metrics["balanced_accuracy"]["value"]
    table = pd.read_csv(tmp_path / "out" / "probabilities.csv")
    probabilities = ["p_blue", "p_green", "p_red"]
    assert list(table.columns) == ["file", "condition", "predicted", "unsure", *probabilities, "prior"]
    assert set(table["prior"]) == {"unknown"}
    assert table["predicted"].tolist() == ["blue", "green", "blue", "green", "red"]
    assert table["unsure"].tolist() == [False, False, True, False, False]
    with Image.open(tmp_path / "out" / "confusion.png") as picture:
        assert min(picture.size) > 400
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("confusion.csv", "confusion.pdf", "confusion.png", "confusion.svg"),
        *("metrics.json", "probabilities.csv"),
        *("reliability.csv", "reliability.pdf", "reliability.png", "reliability.svg"),
    ]
    counts = pd.read_csv(tmp_path / "out" / "confusion.csv")
    assert counts["true condition"].tolist() == list(counts.columns[1:]) == ["blue", "green", "red"]
    assert counts[["blue", "green", "red"]].to_numpy().tolist() == metrics["confusion"]
    (bins,) = pd.read_csv(tmp_path / "out" / "reliability.csv").itertuples()
    assert (bins.probabilities, bins.images) == ("as predicted", 5)
    assert (bins.confidence, bins.accuracy) == pytest.approx((0.7, 0.6))


def test_certainty_has_its_known_values(evaluation: Evaluation) -> None:
    found = evaluation.metrics()
    assert {k: estimate["value"] for k, estimate in found["top_k"].items()} == pytest.approx(
        {"1": 0.6, "2": 0.8}
    )
    # One bin of five images: 3 are correct, the mean confidence is 0.7.
    assert found["calibration_error"]["value"] == pytest.approx(0.1)
    likelihoods = [0.8, 0.1, 0.4, 0.9, 0.2]
    assert found["negative_log_likelihood"] == pytest.approx(-np.log(likelihoods).mean())
    assert found["without_temperature"] is found["prediction_sets"] is found["novelty"] is None
    assert found["disagreement"] == {"folds": 1, "mutual_information": None, "agreement": None}
    assert found["conditions_without_images"] == ["red"]
    assert found["strata"] == []


def test_strata_are_written(evaluation: Evaluation, tmp_path: Path) -> None:
    known = pd.DataFrame({"sex": ["female", "female", "male", "male", "male"]})
    replace(evaluation, attributes=known).write(tmp_path)
    table = pd.read_csv(tmp_path / "strata.csv")
    assert table["value"].tolist() == ["female", "male"] and table["few"].all()
    assert table["accuracy"].tolist() == pytest.approx([0.5, 2 / 3], abs=1e-5)
    assert (table["accuracy_low"] < table["accuracy"]).all()
    strata = json.loads((tmp_path / "metrics.json").read_text())["strata"]
    assert strata[1]["value"] == "male" and strata[1]["images"] == 3
    assert strata[1]["balanced_accuracy"]["value"] == pytest.approx((1 + 0.5) / 2)


@pytest.fixture
def fitting(ensemble: Ensemble, cohort: Cohort) -> Ensemble:
    """The untrained ensemble, as if trained on the cohort."""
    ensemble.metadata = ensemble.metadata.model_copy(update={"cohort_digest": cohort.digest})
    return ensemble


def test_out_of_fold_images_are_predicted_by_the_model_that_did_not_see_them(
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
    with pytest.raises(UserError, match=r"rows takes one of .*'train'"):
        evaluate(fitting, cohort, rows="train")  # type: ignore[arg-type]
    unknown = Cohort.from_rows(cohort.root, cohort.rows.assign(condition="violet"))
    with pytest.raises(UserError, match="does not know violet"):
        evaluate(fitting, unknown, rows="all")


def test_another_cohort_is_evaluated_whole(fitting: Ensemble, cohort: Cohort) -> None:
    outside = cohort.select(np.arange(10))  # stands for other patients: its digest differs
    found = evaluate(fitting, outside, rows="all")
    assert len(found.files) == 10
    assert set(found.recall) == {"blue"}


def test_training_images_are_recognised_in_any_other_cohort(
    fitting: Ensemble, cohort: Cohort, tmp_path: Path
) -> None:
    renamed = cohort.rows.assign(file="other-" + cohort.rows["file"])[:20]
    for old, new in zip(cohort.rows["file"], renamed["file"], strict=False):
        (tmp_path / new).write_bytes((cohort.root / old).read_bytes())
    outside = Cohort.from_rows(tmp_path, renamed.assign(fold=""))
    fitting.metadata = fitting.metadata.model_copy(update={"seen_images": cohort.image_hashes[3:5]})
    with pytest.raises(UserError, match=r"on 2 of these images: other-blue-3\.png, other-blue-4\.png\."):
        evaluate(fitting, outside, rows="all")
    fitting.metadata = fitting.metadata.model_copy(update={"seen_images": cohort.image_hashes[30:]})
    assert len(evaluate(fitting, outside, rows="all").files) == 20


def test_a_test_image_that_was_trained_on_is_refused(fitting: Ensemble, cohort: Cohort) -> None:
    tested = np.flatnonzero(cohort.rows["fold"] == "test")
    fitting.metadata = fitting.metadata.model_copy(update={"seen_images": [cohort.image_hashes[tested[2]]]})
    with pytest.raises(UserError, match=rf"on 1 of these images: {cohort.rows['file'][tested[2]]}"):
        evaluate(fitting, cohort)
    assert len(evaluate(fitting, cohort, rows="out_of_fold").files) == 54


def test_metrics_say_whether_the_epoch_was_chosen_on_the_same_images(
    fitting: Ensemble, cohort: Cohort
) -> None:
    assert evaluate(fitting, cohort, rows="out_of_fold").metrics()["epoch_chosen_on_these_images"] is True
    assert evaluate(fitting, cohort, rows="test").metrics()["epoch_chosen_on_these_images"] is False
    config = fitting.config.model_copy(update={"patience": None})
    fitting.metadata = fitting.metadata.model_copy(update={"config": config})
    assert evaluate(fitting, cohort, rows="out_of_fold").metrics()["epoch_chosen_on_these_images"] is False


@pytest.fixture
def unlike(tmp_path: Path) -> Cohort:
    """Twelve images of noise."""
    noise = [f"noise-{index}.png" for index in range(12)]
    for index, name in enumerate(noise):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        write_image(tmp_path / name, pixels)
    return Cohort.from_rows(tmp_path, pd.DataFrame({"file": noise, "condition": "noise"}))


def test_a_calibrated_ensemble_is_evaluated_as_such(
    fitting: Ensemble, cohort: Cohort, unlike: Cohort
) -> None:
    fitting.calibrate(cohort)
    found = evaluate(fitting, cohort, unlike=unlike)
    metrics = found.metrics()
    assert metrics["calibration"]["images"] == 54 and metrics["unlike"] == unlike.root.name
    assert metrics["unlike_judged_by"] == "all folds" and metrics["calibration_note"] is None
    assert metrics["novelty"]["unlike"]["images"] == 12
    assert metrics["novelty"]["unlike"]["auroc"]["value"] > 0.9
    sets = found.prediction.prediction_sets
    assert sets is not None
    hits = sets[np.arange(len(found.truth)), found.truth]
    assert metrics["prediction_sets"]["coverage"]["value"] == pytest.approx(hits.mean())
    without = metrics["without_temperature"]
    assert without["calibration_error"]["value"] >= 0
    assert without["change_of_calibration_error"]["value"] == pytest.approx(
        metrics["calibration_error"]["value"] - without["calibration_error"]["value"]
    )
    assert metrics["disagreement"]["folds"] == 3
    table = found.table()
    assert table["prediction_set"].str.split("; ").map(len).tolist() == sets.sum(axis=1).tolist()


def test_out_of_fold_calibration_does_not_use_its_own_fold(fitting: Ensemble, cohort: Cohort) -> None:
    fitting.calibrate(cohort)
    before = evaluate(fitting, cohort, rows="out_of_fold")
    fold_of = cohort.rows["fold"][cohort.rows["fold"] != "test"].to_numpy(dtype=str)
    for fold in fitting.folds:
        here = fold_of == fold
        others = conformal.Conformal.fit(
            before.prediction.uncalibrated[~here], before.truth[~here], np.zeros((~here).sum(), int), 0.9
        )
        sets = conformal.with_answers(
            others.sets(before.prediction.uncalibrated[None, here]), before.prediction.predicted[here]
        )
        np.testing.assert_array_equal(before.prediction.prediction_sets[here], sets)
    assert before.prediction.novel is not None and before.prediction.novel.mean() < 0.2


def test_images_out_of_distribution_are_predicted_by_one_model_each_out_of_fold(
    fitting: Ensemble, cohort: Cohort, unlike: Cohort
) -> None:
    """Like the images they are compared with: a mean over the folds has another scale."""
    fitting.calibrate(cohort)
    found = evaluate(fitting, cohort, "out_of_fold", unlike)
    assert fitting.calibration is not None and found.unlike is not None
    inside, (distances, novel) = found.prediction.novelty, found.unlike
    fold_of = cohort.rows["fold"][cohort.rows["fold"] != "test"].to_numpy(dtype=str)
    for index in range(12):
        position = index % 3
        features = fitting.predict_fold(
            fitting.folds[position], unlike.images(32)[index : index + 1]
        ).features
        expected = fitting.calibration.novelty.subspaces[position].distance(features)[0]
        assert distances[index] == pytest.approx(expected, abs=1e-5)
        others = inside[fold_of != fitting.folds[position]]
        assert novel[index] == ((1 + (others >= distances[index]).sum()) / (1 + len(others)) <= 0.05)
    metrics = found.metrics()
    assert metrics["unlike_judged_by"] == "one fold each, in turn"
    assert metrics["novelty"]["unlike"]["detected"]["value"] == pytest.approx(novel.mean())


def test_the_calibration_of_a_single_fold_cannot_be_evaluated_out_of_fold(
    fitting: Ensemble, cohort: Cohort, unlike: Cohort
) -> None:
    alone = fitting.fold("1")
    alone.calibrate(cohort)
    metrics = evaluate(alone, cohort, "out_of_fold").metrics()
    assert metrics["calibration"] is metrics["prediction_sets"] is metrics["novelty"] is None
    assert "of one fold" in metrics["calibration_note"]
    with pytest.raises(UserError, match=r"of one fold.*--rows test.*Leave out --unlike"):
        evaluate(alone, cohort, "out_of_fold", unlike)
    tested = evaluate(alone, cohort, unlike=unlike).metrics()
    assert tested["calibration"]["images"] > 0 and tested["novelty"]["unlike"]["images"] == 12


def test_only_a_calibrated_ensemble_calls_images_novel(fitting: Ensemble, cohort: Cohort) -> None:
    with pytest.raises(UserError, match=r"not calibrated.*classify calibrate"):
        evaluate(fitting, cohort, unlike=cohort)


def test_a_cohort_without_test_images_says_so(ensemble: Ensemble, cohort: Cohort) -> None:
    without = cohort.select(cohort.rows["fold"] != "test")
    ensemble.metadata = ensemble.metadata.model_copy(update={"cohort_digest": without.digest})
    with pytest.raises(UserError, match="no image to evaluate"):
        evaluate(ensemble, without)
