import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from morphoscope.classify import Ensemble, evaluate, train_ensemble
from morphoscope.classify.training.fold import FoldTrainer, ImagePool, class_weights
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.ops.runtime import RunFolder, read_checkpoint


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_a_separable_cohort_is_learnt(cohort: Cohort, config: EnsembleTraining, run: RunFolder) -> None:
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
    assert loaded.metadata["cohort_digest"] == cohort.digest
    assert loaded.metadata["phantom"] is False
    assert set(loaded.metadata["scores"]) == {"0", "1", "2"}
    assert not list((run.path / "folds").glob("*.pt"))
    table = pd.read_csv(run.path / "out_of_fold" / "probabilities.csv")
    assert set(table["file"]) == set(cohort.rows["file"][cohort.rows["fold"] != "test"])


class StopAfter:
    """Both an interruption and a listener: asks to stop after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left, self.requested, self.epochs = steps, False, 0

    def step(self, done: int, total: int, epoch: int) -> None:
        assert 0 < done <= total
        self.left -= 1
        self.requested = self.left == 0

    def epoch(self, fold: str, epoch: int, **values: float) -> None:
        self.epochs += 1


def test_resumed_training_equals_uninterrupted(
    cohort: Cohort, config: EnsembleTraining, tmp_path: Path
) -> None:
    training = ImagePool.of([(cohort.images(32), cohort.labels, np.arange(0, 72, 2))])
    validation = ImagePool.of([(cohort.images(32), cohort.labels, np.arange(1, 72, 6))])
    parts = ("1", config, training, validation, 3, torch.device("cpu"))
    never = StopAfter(-1)
    whole = FoldTrainer(*parts).fit(tmp_path / "whole.pt", never, never)  # type: ignore[arg-type]
    stopping = StopAfter(8)  # 5 steps an epoch: within the second
    with pytest.raises(KeyboardInterrupt):
        FoldTrainer(*parts).fit(tmp_path / "cut.pt", stopping, stopping)  # type: ignore[arg-type]
    assert stopping.epochs == 1
    again = StopAfter(-1)
    resumed = FoldTrainer(*parts).fit(tmp_path / "cut.pt", again, again)  # type: ignore[arg-type]
    assert (never.epochs, again.epochs) == (3, 2)
    assert (resumed.best_epoch, resumed.best_score) == (whole.best_epoch, whole.best_score)
    for name, value in whole.best_weights.items():
        assert torch.equal(value, resumed.best_weights[name]), name
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:5000])
    with pytest.raises(UserError, match=r"cut\.pt: .*damaged.*delete it"):
        FoldTrainer(*parts).fit(tmp_path / "cut.pt", again, again)  # type: ignore[arg-type]


def test_a_run_folder_goes_on_with_unfinished_folds_only(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder
) -> None:
    config = config.model_copy(update={"epochs": 1})
    assert train_ensemble(config, cohort, run, folds=["1"], device="cpu").folds == ["1"]
    finished = run.path / "folds" / "fold-1.safetensors"
    before = finished.stat().st_mtime_ns
    assert train_ensemble(config, cohort, run, device="cpu").folds == ["0", "1", "2"]
    assert finished.stat().st_mtime_ns == before
    with pytest.raises(UserError, match="another config"):
        train_ensemble(config.model_copy(update={"seed": 1}), cohort, run, device="cpu")
    finished.write_bytes(finished.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"fold-1\.safetensors"):
        train_ensemble(config, cohort, run, device="cpu")


def test_synthetic_images_are_used_and_recorded(
    cohort: Cohort, config: EnsembleTraining, run: RunFolder, make_synthetic: Callable[..., Cohort]
) -> None:
    config = config.model_copy(update={"epochs": 1})
    extra = make_synthetic(["1", "2"], each=7)
    ensemble = train_ensemble(config, cohort, run, synthetic=[extra], folds=["0"], device="cpu")
    counts = ensemble.metadata["scores"]["0"]["training_images"]
    assert counts == {"real": 36, "synthetic": 14}
    assert ensemble.metadata["generators"] == ["feedc0de"]
    seen = set(ensemble.metadata["seen_images"])
    tested = (cohort.rows["fold"] == "test").to_numpy()
    assert seen == {*np.array(cohort.image_hashes)[~tested], *extra.image_hashes}
    with pytest.raises(UserError, match="Fold 1 has no synthetic image"):
        train_ensemble(config, cohort, run, synthetic=[extra], folds=["1"], device="cpu")


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


def test_class_weights_balance() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    weights = class_weights(labels, 3, 1.0).numpy()
    np.testing.assert_allclose(weights * [60, 30, 10], 100 / 3, rtol=1e-6)
    np.testing.assert_allclose(class_weights(labels, 3, 0.0).numpy(), 1)
    half = class_weights(labels, 3, 0.5).numpy()
    assert half[2] / half[0] == pytest.approx(6**0.5, rel=1e-5)
    assert (half * [60, 30, 10]).sum() == pytest.approx(100, rel=1e-5)


def test_one_condition_is_no_classification(cohort: Cohort, config: EnsembleTraining, run: RunFolder) -> None:
    red = Cohort.from_rows(cohort.root, cohort.rows[cohort.rows["condition"] == "red"])
    with pytest.raises(UserError, match="two conditions"):
        train_ensemble(config, red, run, device="cpu")


def test_stats_hold_one_line_an_epoch(cohort: Cohort, config: EnsembleTraining, run: RunFolder) -> None:
    config = config.model_copy(update={"epochs": 2})
    train_ensemble(config, cohort, run, folds=["0"], device="cpu")
    lines = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert [(line["fold"], line["epoch"]) for line in lines] == [("0", 1), ("0", 2)]
    assert all(0 <= line["balanced_accuracy"] <= 1 and line["loss"] > 0 for line in lines)
