"""Nested cross-validation: every patient is tested once, by an ensemble that saw nothing of its fold."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify import Ensemble, Evaluation, Prediction, cross_validate, train_ensemble
from morphoscope.classify.evaluation import EvaluationFacts
from morphoscope.classify.training import nested
from morphoscope.classify.training.nested import leaving_out
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
    with pytest.raises(UserError, match="2 folds; nested cross-validation needs at least 3"):
        cross_validate(config, two, RunFolder(tmp_path / "run"))


def test_repeats_are_other_splits_of_all_patients(
    three_folds: Cohort, config: EnsembleTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Cohort] = []

    def all_red(_: None, outer: Cohort, rows: str) -> Evaluation:
        tested = outer.rows[outer.rows["fold"] == "test"]
        per_fold = np.tile(np.array([0.1, 0.2, 0.7], np.float32), (2, len(tested), 1))
        prediction = Prediction(outer.conditions, per_fold, per_fold[0], np.zeros(len(tested), bool))
        truth = tested["condition"].map(outer.conditions.index).to_numpy()
        facts = EvaluationFacts(rows, "toy", outer.digest)
        files, groups = tested["file"].to_numpy(), tested["group"].to_numpy()
        return Evaluation(outer.conditions, files, truth, groups, prediction, facts)

    monkeypatch.setattr(nested, "train_ensemble", lambda _, outer, run, **options: seen.append(outer))
    monkeypatch.setattr(nested, "evaluate", all_red)
    run = RunFolder(tmp_path / "run")
    first, second = cross_validate(config, three_folds, run, repeats=2)
    assert sorted(first.files) == sorted(second.files) == sorted(three_folds.rows["file"])
    assert len(seen) == 6 and not seen[0].rows["fold"].equals(seen[3].rows["fold"])
    for outer in seen:
        assert (outer.rows.groupby("group")["fold"].nunique() == 1).all()
        assert outer.rows["fold"].nunique() == 3
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["repeats"] == 2 and summary["accuracy"]["value"] == pytest.approx(1 / 3)
    assert summary["accuracy"]["standard_deviation_between_repeats"] == 0
