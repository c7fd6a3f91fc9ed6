"""A run: its files, its snapshots, and how it ends when something goes wrong."""

import json

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from morphoscope.configs import UserError
from morphoscope.generate import load, train_generator
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime import RunFolder


def test_a_finished_training_is_not_changed(tiny_config, tiny_cohort, tiny_run):
    def files():
        return [path for path in tiny_run.path.rglob("*") if path.is_file()]

    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files()}
    path = train_generator(tiny_config, tiny_cohort, tiny_run, exclude_folds=["2"])
    assert path == max(tiny_run.path.glob("snapshot-*.safetensors"))
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files()}
    assert before == after


def test_run_folder_holds_the_files_of_the_spec(tiny_run):
    names = {path.name for path in tiny_run.path.iterdir()}
    assert {"config.yaml", "stats.jsonl", "reals.png", "training-state.pt", "fakes000000040.png"} <= names
    lines = [json.loads(line) for line in (tiny_run.path / "stats.jsonl").read_text().splitlines()]
    assert lines[-1]["kimg"] == pytest.approx(0.04)
    assert [line["kimg"] for line in lines] == sorted(line["kimg"] for line in lines)


@pytest.mark.parametrize(
    ("phase", "name", "value", "message"),
    [
        ("_train_generator", "loss_G", float("nan"), "phase G: loss_G = nan"),
        ("_regularise_r1", "r1", float("inf"), "phase R1: r1 = inf"),
        ("_train_generator", "loss_G", 5e3, "phase G: loss_G = 5000"),
    ],
)
def test_divergence_names_step_phase_and_last_good_snapshot(
    tiny_config, tiny_cohort, tmp_path, monkeypatch, phase, name, value, message
):
    original = getattr(GeneratorTrainer, phase)

    def diverging(self, *arguments):
        values = original(self, *arguments)
        return values if self.iteration < 7 else {**values, name: torch.tensor(value)}

    run = RunFolder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, phase, diverging)
        with pytest.raises(UserError, match=rf"iteration [79] .*{message}.*snapshot-000000024\.safetensors"):
            train_generator(tiny_config, tiny_cohort, run)
    state = torch.load(tmp_path / "training-state.pt", weights_only=True)
    assert state["images_seen"] == 24  # saved before the divergence
    assert all(torch.isfinite(tensor).all() for tensor in state["G"].values())
    train_generator(tiny_config, tiny_cohort, run)  # and resumes


def test_a_full_disk_ends_with_a_clear_error_and_an_intact_snapshot(
    tiny_config, tiny_cohort, tmp_path, monkeypatch
):
    """There is no space for the second snapshot; the first one and its state do not change."""
    run = RunFolder(tmp_path)
    written = []

    def full(tensors, path, metadata):
        written.append(path)
        if len(written) == 2:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        return save_file(tensors, path, metadata)

    with monkeypatch.context() as patch:
        patch.setattr("morphoscope.runtime.torch_checkpoints.save_file", full)
        with pytest.raises(UserError, match=r"snapshot-000000040\.safetensors: cannot be written; is the"):
            train_generator(tiny_config, tiny_cohort, run)
    assert torch.load(tmp_path / "training-state.pt", weights_only=True)["images_seen"] == 24
    assert load(tmp_path / "snapshot-000000024.safetensors").metadata.kimg == 0.024
    assert [path.name for path in tmp_path.rglob(".*")] == [".run"]  # nothing half-written


def test_only_the_newest_snapshots_are_kept(tiny_config, tiny_cohort, tmp_path):
    settings = {"kimg": 3, "tick_kimg": 1, "snapshot_ticks": 1, "keep_snapshots": 2}
    smaller = {"resolution": 8, "batch": 200, "pl_weight": 0.0}
    config = tiny_config.model_copy(update=settings | smaller)
    train_generator(config, tiny_cohort, RunFolder(tmp_path))
    left = [path.stem for path in sorted(tmp_path.glob("snapshot-*"))]
    assert left == ["snapshot-000002000", "snapshot-000003000"]
    assert len(list(tmp_path.glob("fakes*.png"))) == 3
