"""Repeated splits and nested cross-validation: who is evaluated by models that saw nothing of which fold."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify import Ensemble, Evaluation, Prediction, cross_validate, train_ensemble
from morphoscope.classify.evaluation import EvaluationFacts
from morphoscope.classify.training import cross_validation
from morphoscope.classify.training.cross_validation import by_patient, leaving_out
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime import RunFolder


@pytest.fixture
def three_folds(cohort: Cohort) -> Cohort:
    return cohort.with_folds(cohort.rows["fold"].replace({"2": "1"}))


def test_each_fold_is_tested_in_turn(cohort: Cohort) -> None:
    outer = leaving_out(cohort, "1")
    assert (outer.rows["fold"] == "test").equals(cohort.rows["fold"] == "1")
    assert (outer.rows["fold"] == "3").equals(cohort.rows["fold"] == "test")
    assert (outer.rows["fold"] == "0").equals(cohort.rows["fold"] == "0")
    assert leaving_out(cohort, "test").rows["fold"].equals(cohort.rows["fold"])


def test_every_image_is_predicted_once_by_models_that_did_not_see_it(
    three_folds: Cohort, config: EnsembleTraining, tmp_path: Path
) -> None:
    config = config.model_copy(update={"epochs": 1})
    run = RunFolder(tmp_path / "run")
    (found,) = cross_validate(config, three_folds, run, device="cpu")
    assert sorted(found.files) == sorted(three_folds.rows["file"])
    assert found.prediction.per_fold.shape == (2, len(three_folds), 3)
    sets = found.prediction.prediction_sets
    assert sets is not None and sets.shape == (len(three_folds), 3)
    assert found.facts.rows == "nested" and found.missing == []
    for fold in ("0", "1", "test"):
        inner = run.path / "repeat-1" / f"fold-{fold}" / "ensemble.safetensors"
        ensemble, outer = Ensemble.load(inner), leaving_out(three_folds, fold)
        assert ensemble.metadata.cohort_digest == outer.digest
        tested = np.flatnonzero(outer.rows["fold"] == "test")
        place = [list(found.files).index(outer.rows["file"][row]) for row in tested]
        again = ensemble.predict(outer.select(tested).images(32))
        np.testing.assert_allclose(found.prediction.combined[place], again.combined, atol=1e-5)
    pooled = pd.read_csv(run.path / "repeat-1" / "pooled" / "probabilities.csv")
    assert len(pooled) == len(three_folds)
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["balanced_accuracy"]["value"] == pytest.approx(found.balanced_accuracy.value)
    weights = (run.path / "repeat-1/fold-0/folds/fold-1.safetensors").stat()
    (again,) = cross_validate(config, three_folds, run, device="cpu")  # resumes: nothing is trained again
    assert (run.path / "repeat-1/fold-0/folds/fold-1.safetensors").stat() == weights
    np.testing.assert_array_equal(again.prediction.combined, found.prediction.combined)
    with pytest.raises(UserError, match="design: nested before, none now"):
        train_ensemble(config, three_folds, run, device="cpu")


def test_fewer_than_three_folds_are_refused(cohort: Cohort, config: EnsembleTraining, tmp_path: Path) -> None:
    two = cohort.with_folds(cohort.rows["fold"].replace({"test": "0", "2": "1"}))
    with pytest.raises(UserError, match=r"too few folds \(2\); nested cross-validation needs at least 3"):
        cross_validate(config, two, RunFolder(tmp_path / "run"))


def evaluation(cohort: Cohort, rows: str, predicted: str) -> Evaluation:
    """Two models that call every image of the fold "test", or of the other folds, `predicted`."""
    chosen = cohort.rows[(cohort.rows["fold"] == "test") == (rows == "test")]
    probabilities = np.where([name == predicted for name in cohort.conditions], 0.8, 0.1)
    per_fold = np.tile(probabilities.astype(np.float32), (2, len(chosen), 1))
    prediction = Prediction(cohort.conditions, per_fold, per_fold[0], np.zeros(len(chosen), bool))
    truth = chosen["condition"].map(cohort.conditions.index).to_numpy()
    facts = EvaluationFacts(rows, "toy", cohort.digest)
    return Evaluation(
        cohort.conditions, chosen["file"].to_numpy(), truth, chosen["group"].to_numpy(), prediction, facts
    )


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Cohort, Path]]:
    """(cohort, run folder) of each training, of which there is none; all images are called red."""
    seen: list[tuple[Cohort, Path]] = []

    def train(_: EnsembleTraining, cohort: Cohort, run: RunFolder, **options: object) -> None:
        seen.append((cohort, run.path))

    def evaluate(_: None, cohort: Cohort, rows: str) -> Evaluation:
        return evaluation(cohort, rows, "red")

    monkeypatch.setattr(cross_validation, "train_ensemble", train)
    monkeypatch.setattr(cross_validation, "evaluate", evaluate)
    return seen


def test_nested_repeats_are_other_splits_of_all_patients(
    three_folds: Cohort, config: EnsembleTraining, tmp_path: Path, trained: list[tuple[Cohort, Path]]
) -> None:
    run = RunFolder(tmp_path / "run")
    first, second = cross_validate(config, three_folds, run, repeats=2)
    assert sorted(first.files) == sorted(second.files) == sorted(three_folds.rows["file"])
    seen = [cohort for cohort, _ in trained]
    assert len(seen) == 6 and not seen[0].rows["fold"].equals(seen[3].rows["fold"])
    for outer in seen:
        assert (outer.rows.groupby("group")["fold"].nunique() == 1).all()
        assert outer.rows["fold"].nunique() == 3
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["repeats"] == 2 and summary["accuracy"]["value"] == pytest.approx(1 / 3)
    assert summary["accuracy"]["standard_deviation_between_repeats"] == 0


def test_repeated_splits_leave_the_test_fold_alone(
    cohort: Cohort, config: EnsembleTraining, tmp_path: Path, trained: list[tuple[Cohort, Path]]
) -> None:
    run = RunFolder(tmp_path / "run")
    evaluations = cross_validate(config, cohort, run, nested=False, repeats=3)
    splits = [split.rows["fold"] for split, _ in trained]
    assert [path for _, path in trained] == [run.path / f"repeat-{number}" for number in (1, 2, 3)]
    assert splits[0].equals(cohort.rows["fold"])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not splits[one].equals(splits[other])
    for split in splits:
        assert ((split == "test") == (cohort.rows["fold"] == "test")).all()
        assert set(split) == {"0", "1", "2", "test"}
    for found in evaluations:
        assert found.facts.rows == "out_of_fold"
        assert sorted(found.files) == sorted(cohort.rows["file"][cohort.rows["fold"] != "test"])
    one = cohort.with_folds(cohort.rows["fold"].replace({"1": "0", "2": "0"}))
    with pytest.raises(UserError, match=r"too few folds \(1\); repeated splits need at least 2"):
        cross_validate(config, one, run, nested=False)


def test_results_are_summarised_by_patient(cohort: Cohort) -> None:
    splits = [evaluation(cohort, "test", predicted) for predicted in ("red", "red", "blue")]
    tested = cohort.rows[cohort.rows["fold"] == "test"]
    table = by_patient(splits).set_index("group")
    assert table["images"].to_dict() == tested["group"].value_counts().to_dict()
    correct = {"red": 2 / 3, "blue": 1 / 3, "green": 0}
    assert table["correct"].tolist() == pytest.approx(sorted(table["condition"].map(correct)))
    spread = table["standard_deviation_between_repeats"]
    assert spread.tolist() == pytest.approx([{"green": 0}.get(name, 3**-0.5) for name in table["condition"]])
    assert by_patient(splits[:1])["standard_deviation_between_repeats"].isna().all()


def test_repeated_splits_train_an_ensemble_each(
    cohort: Cohort, config: EnsembleTraining, tmp_path: Path
) -> None:
    config = config.model_copy(update={"epochs": 1})
    two_folds = cohort.with_folds(cohort.rows["fold"].replace({"2": "1"}))
    run = RunFolder(tmp_path / "run")
    found = cross_validate(config, two_folds, run, nested=False, repeats=2, device="cpu")
    first, second = (Ensemble.load(run.path / f"repeat-{k}/ensemble.safetensors") for k in (1, 2))
    assert first.metadata.cohort_digest == two_folds.digest != second.metadata.cohort_digest
    metrics = json.loads((run.path / "repeat-2/out_of_fold/metrics.json").read_text())
    assert metrics["accuracy"]["value"] == found[1].accuracy.value
    summary = json.loads((run.path / "summary.json").read_text())
    mean = (found[0].balanced_accuracy.value + found[1].balanced_accuracy.value) / 2
    assert summary["balanced_accuracy"]["value"] == pytest.approx(mean)
    patients = pd.read_csv(run.path / "patients.csv")
    assert set(patients["group"]) == set(two_folds.rows["group"][two_folds.rows["fold"] != "test"])
