"""The whole run: what it writes, what it refuses, how it resumes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from morphoscope.classify import Ensemble, evaluate, train_ensemble
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime import RunFolder
from morphoscope.runtime.torch_checkpoints import read_checkpoint


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_a_separable_cohort_is_classified(cohort: Cohort, config: EnsembleTraining, run: RunFolder) -> None:
    config = config.model_copy(update={"epochs": 8, "augmentation": 0.2})
    ensemble = train_ensemble(config, cohort, run, device="cpu")
    test = evaluate(ensemble, cohort)
    assert test.balanced_accuracy.value >= 0.9
    assert len(test.files) == (cohort.rows["fold"] == "test").sum()
    for name in ("config.yaml", "stats.jsonl", "ensemble.safetensors", "out_of_fold/metrics.json"):
        assert (run.path / name).is_file()
    loaded = Ensemble.load(run.path / "ensemble.safetensors")
    images = cohort.images(32)[:5]
    np.testing.assert_array_equal(loaded.predict(images).per_fold, ensemble.predict(images).per_fold)
    assert loaded.metadata.cohort_digest == cohort.digest
    assert loaded.metadata.phantom is False
    assert set(loaded.metadata.scores) == {"0", "1", "2"}
    assert not list((run.path / "folds").glob("*.pt"))
    table = pd.read_csv(run.path / "out_of_fold" / "probabilities.csv")
    assert set(table["file"]) == set(cohort.rows["file"][cohort.rows["fold"] != "test"])


def test_a_run_folder_resumes_with_unfinished_folds_only(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder
) -> None:
    config = config.model_copy(update={"epochs": 1})
    assert train_ensemble(config, cohort, run, folds=["1"], device="cpu").folds == ["1"]
    finished = run.path / "folds" / "fold-1.safetensors"
    before = finished.stat().st_mtime_ns
    assert train_ensemble(config, cohort, run, device="cpu").folds == ["0", "1", "2"]
    assert finished.stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"another run \(seed: 0 before, 1 now\)"):
        train_ensemble(config.model_copy(update={"seed": 1}), cohort, run, device="cpu")
    finished.write_bytes(finished.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"fold-1\.safetensors"):
        train_ensemble(config, cohort, run, device="cpu")


def test_a_changed_cohort_is_described_in_words(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder, make_synthetic: Callable[..., Cohort]
) -> None:
    config = config.model_copy(update={"epochs": 1})
    train_ensemble(config, cohort, run, folds=["0"], device="cpu")
    rows = cohort.rows.drop(index=[0, 1])
    with pytest.raises(UserError, match=r"\(cohort: 2 images were removed\)"):
        train_ensemble(config, Cohort.from_rows(cohort.root, rows), run, folds=["0"], device="cpu")
    extra = make_synthetic(["1", "2"], each=7)
    says = r"\(synthetic cohorts: 0 before, 1 now; synthetic 1: none before\)"
    with pytest.raises(UserError, match=says):
        train_ensemble(config, cohort, run, synthetic=[extra], folds=["0"], device="cpu")


def test_a_run_folder_without_any_training_takes_other_settings(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder
) -> None:
    """After an error, other initial weights work in the same run folder."""
    config = config.model_copy(update={"epochs": 1})
    absent = config.model_copy(update={"weights_file": run.path / "absent.pth"})
    with pytest.raises(UserError, match=r"absent\.pth: no such file"):
        train_ensemble(absent, cohort, run, folds=["0"], device="cpu")
    assert train_ensemble(config, cohort, run, folds=["0"], device="cpu").folds == ["0"]
    assert "weights_file: null" in (run.path / "config.yaml").read_text()


def test_micro_batches_may_change_within_a_run(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder
) -> None:
    """They only change how a step is computed, e.g. on a smaller GPU for the remaining folds."""
    config = config.model_copy(update={"epochs": 1})
    train_ensemble(config, cohort, run, folds=["0"], device="cpu")
    smaller = config.model_copy(update={"micro_batch": 4})
    assert train_ensemble(smaller, cohort, run, folds=["0", "1"], device="cpu").folds == ["0", "1"]


def test_a_user_error_leaves_no_empty_run_folder(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder
) -> None:
    unsplit = Cohort.from_rows(cohort.root, cohort.rows.assign(fold=""))
    with pytest.raises(UserError, match="cohort split"):
        train_ensemble(config, unsplit, run, device="cpu")
    assert not run.path.exists()


def test_synthetic_images_are_used_and_recorded(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder, make_synthetic: Callable[..., Cohort]
) -> None:
    config = config.model_copy(update={"epochs": 1})
    extra = make_synthetic(["1", "2"], each=7)
    ensemble = train_ensemble(config, cohort, run, synthetic=[extra], folds=["0"], device="cpu")
    counts = ensemble.metadata.scores["0"].training_images
    assert counts == {"real": 36, "synthetic": 14}
    assert ensemble.metadata.generators == ["feedc0de"]
    seen = set(ensemble.metadata.seen_images)
    tested = (cohort.rows["fold"] == "test").to_numpy()
    assert seen == {*np.array(cohort.image_hashes)[~tested], *extra.image_hashes}
    with pytest.raises(UserError, match="Fold 1 has no synthetic image"):
        train_ensemble(config, cohort, run, synthetic=[extra], folds=["1"], device="cpu")


def test_synthetic_mixtures_train_with_their_shares(
    cohort: Cohort, config: EnsembleTraining, make_synthetic: Callable[..., Cohort], tmp_path: Path
) -> None:
    config = config.model_copy(update={"epochs": 1})

    def weights(label: str) -> torch.Tensor:
        extra = make_synthetic(["1", "2"], conditions=("red",), each=7, label=label)
        run = RunFolder(tmp_path / f"run-{extra.root.name}")
        ensemble = train_ensemble(config, cohort, run, synthetic=[extra], folds=["0"], device="cpu")
        return ensemble.models[0].state_dict()["backbone.classifier.weight"]

    plain = weights("{}")
    assert torch.equal(plain, weights('{"red": 1.0}'))
    assert not torch.equal(plain, weights('{"red": 0.6, "blue": 0.4}'))
    with pytest.raises(UserError, match=r"label of red-0\.png names purple"):
        weights('{"red": 0.6, "purple": 0.4}')


def test_a_mixed_cohort_is_refused(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder, make_synthetic: Callable[..., Cohort]
) -> None:
    extra = make_synthetic([])
    rows = pd.concat([cohort.rows, extra.rows.assign(file=cohort.rows["file"][:6] + ".copy.png")])
    mixed = Cohort.from_rows(cohort.root, rows)
    with pytest.raises(UserError, match=r"6 synthetic images among the real ones .*--synthetic"):
        train_ensemble(config, mixed, run, device="cpu")


def test_frozen_stages_stay_and_are_shared(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder, ensemble: Ensemble, tmp_path: Path
) -> None:
    path = tmp_path / "first.pth"
    torch.save(ensemble.models[0].backbone.state_dict(), path)
    config = config.model_copy(update={"epochs": 1, "weights_file": path, "freeze_stages": 4})
    trained = train_ensemble(config, cohort, run, device="cpu")
    tensors, _ = read_checkpoint(run.path / "ensemble.safetensors", "ensemble")
    first = ensemble.models[0].state_dict()
    for name in (
        "backbone.conv_stem.weight",
        "backbone.bn1.running_mean",
        "backbone.blocks.2.0.bn2.running_var",
    ):
        assert torch.equal(tensors[f"shared/{name}"], first[name])
    assert not any(name.startswith("shared/backbone.blocks.4.0.conv") for name in tensors)
    assert (
        len({float(model.state_dict()["backbone.bn2.running_mean"].sum()) for model in trained.models}) == 3
    )


def test_one_condition_is_no_classification(cohort: Cohort, config: EnsembleTraining, run: RunFolder) -> None:
    red = Cohort.from_rows(cohort.root, cohort.rows[cohort.rows["condition"] == "red"])
    with pytest.raises(UserError, match="two conditions"):
        train_ensemble(config, red, run, device="cpu")


def test_stats_have_one_line_per_epoch(cohort: Cohort, config: EnsembleTraining, run: RunFolder) -> None:
    config = config.model_copy(update={"epochs": 2})
    train_ensemble(config, cohort, run, folds=["0"], device="cpu")
    lines = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert [(line["fold"], line["epoch"]) for line in lines] == [("0", 1), ("0", 2)]
    assert all(0 <= line["balanced_accuracy"] <= 1 and line["loss"] > 0 for line in lines)


def test_a_killed_epoch_is_reported_once(cohort: Cohort, config: EnsembleTraining, run: RunFolder) -> None:
    """Its line was written, its state was not: it is trained, and reported, again."""
    config = config.model_copy(update={"epochs": 2})
    train_ensemble(config, cohort, run, folds=["0"], device="cpu")
    before = (run.path / "stats.jsonl").read_text()
    run.append("stats.jsonl", fold="1", epoch=1, loss=9.0, balanced_accuracy=0.0)
    train_ensemble(config, cohort, run, folds=["0", "1"], device="cpu")
    lines = (run.path / "stats.jsonl").read_text()
    assert lines.startswith(before) and "9.0" not in lines
    found = [(line["fold"], line["epoch"]) for line in map(json.loads, lines.splitlines())]
    assert found == [("0", 1), ("0", 2), ("1", 1), ("1", 2)]
