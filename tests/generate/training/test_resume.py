"""Resuming: exact, with nothing logged twice, and only with the settings that the run began with."""

import json
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.generate import train_generator
from morphoscope.generate.training.records import list_snapshots
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime import RunFolder


def test_interrupted_and_resumed_equals_uninterrupted(
    tiny_config, tiny_cohort, tiny_run, tmp_path, monkeypatch
):
    """A run that was cut in the middle of a tick resumes bit for bit."""
    run = RunFolder(tmp_path / "run")
    original = GeneratorTrainer.iterate
    calls = []

    def stop_at_fifth(self):
        calls.append(1)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGTERM)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, "iterate", stop_at_fifth)
        with pytest.raises(KeyboardInterrupt):
            train_generator(tiny_config, tiny_cohort, run, exclude_folds=["2"])
    assert len(calls) == 5
    train_generator(tiny_config, tiny_cohort, run, exclude_folds=["2"])
    cut, whole = (torch.load(r.path / "training-state.pt", weights_only=True) for r in (run, tiny_run))
    for name in ("G", "D", "G_ema"):
        for key, tensor in whole[name].items():
            assert torch.equal(cut[name][key], tensor), f"{name}.{key}"
    assert cut["ada"] == whole["ada"]
    assert torch.equal(cut["pl_mean"], whole["pl_mean"])


def test_resuming_from_a_scheduled_snapshot_equals_continuing(
    tiny_config, tiny_cohort, tmp_path, monkeypatch, assert_same_state
):
    """Writing a snapshot must not change the random numbers of the run."""
    run, copy = RunFolder(tmp_path / "run"), tmp_path / "copy"
    original = GeneratorTrainer.iterate

    def copy_after_the_snapshot(self):
        if self.images_seen == 24:
            shutil.copytree(run.path, copy)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, "iterate", copy_after_the_snapshot)
        train_generator(tiny_config, tiny_cohort, run, exclude_folds=["2"])
    assert torch.load(copy / "training-state.pt", weights_only=True)["images_seen"] == 24
    torch.rand(7)  # a resumed run is another process, with another random state
    train_generator(tiny_config, tiny_cohort, RunFolder(copy), exclude_folds=["2"])
    whole, resumed = (
        torch.load(folder / "training-state.pt", weights_only=True) for folder in (run.path, copy)
    )
    assert_same_state(whole, resumed)


@pytest.mark.parametrize("missing", ["metadata", "G", "G_opt", "ada", "iteration", "images_seen"])
def test_state_that_lacks_something_is_named(tiny_config, tiny_cohort, tiny_run, tmp_path, missing):
    state = torch.load(tiny_run.path / "training-state.pt", weights_only=True)
    del state[missing]
    torch.save(state, tmp_path / "training-state.pt")
    with pytest.raises(UserError, match=r"training-state\.pt.*damaged"):
        train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path), exclude_folds=["2"])


def test_another_config_in_the_same_run_folder_is_refused(tiny_config, tiny_cohort, tiny_run):
    other = tiny_config.model_copy(update={"gamma": 3.0})
    with pytest.raises(UserError, match=r"another run \(gamma: [\d.]+ before, 3.0 now\)"):
        train_generator(other, tiny_cohort, tiny_run, exclude_folds=["2"])


def test_damaged_state_is_named(tiny_config, tiny_cohort, tmp_path):
    (tmp_path / "training-state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"training-state\.pt"):
        train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path))


def test_a_killed_run_logs_nothing_twice(tiny_config, tiny_cohort, tmp_path, monkeypatch):
    """If it is killed after its last state, the values in between are removed and logged again."""
    run = RunFolder(tmp_path)
    original = GeneratorTrainer.iterate

    def killed(self):
        if self.iteration == 9:
            raise MemoryError
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, "iterate", killed)
        with pytest.raises(MemoryError):
            train_generator(tiny_config, tiny_cohort, run)
    assert [line["kimg"] for line in stats(tmp_path)] == [0.012, 0.024, 0.036]
    with (tmp_path / "stats.jsonl").open("a") as file:
        file.write('{"kimg": 0.0')
    train_generator(tiny_config, tiny_cohort, run)
    assert [line["kimg"] for line in stats(tmp_path)] == [0.012, 0.024, 0.036, 0.04]


# In a process of its own: a fork would inherit OpenMP's locks, and may crash.
_KILLED = """
import json, os, signal, sys
from pathlib import Path
from morphoscope.cohort import Cohort
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import train_generator
from morphoscope.runtime import RunFolder, torch_checkpoints

config, cohort, run = sys.argv[1:]
original, states = torch_checkpoints.torch.save, []

def killed(state, path):
    states.append(path)
    if len(states) == 2:
        path.write_bytes(b"half of a state")
        os.kill(os.getpid(), signal.SIGKILL)
    original(state, path)

torch_checkpoints.torch.save = killed
settings = GeneratorTraining(**json.loads(config))
train_generator(settings, Cohort.load(cohort), RunFolder(Path(run)), exclude_folds=["2"])
"""


def test_a_kill_while_the_state_is_written_costs_nothing(
    tiny_config, tiny_cohort, tiny_run, tmp_path, assert_same_state
):
    """SIGKILL within the second state: the first one resumes, to the same bits, and leftovers are removed."""
    run = tmp_path / "run"
    words = [tiny_config.model_dump_json(), str(tiny_cohort.root), str(run)]
    assert subprocess.run([sys.executable, "-c", _KILLED, *words]).returncode == -signal.SIGKILL
    assert len(list(run.glob(".training-state.*.pt"))) == 1
    assert torch.load(run / "training-state.pt", weights_only=True)["images_seen"] == 24
    train_generator(tiny_config, tiny_cohort, RunFolder(run), exclude_folds=["2"])
    cut, whole = (torch.load(path / "training-state.pt", weights_only=True) for path in (run, tiny_run.path))
    assert_same_state(whole, cut)
    assert [path.name for path in run.glob(".*")] == [".run"]
    assert [line["kimg"] for line in stats(run)] == [line["kimg"] for line in stats(tiny_run.path)]


@pytest.fixture
def stopped(tiny_config, tiny_cohort, tmp_path, monkeypatch):
    """The run folder of a training that was stopped after 24 images."""
    original = GeneratorTrainer.iterate

    def stop(self):
        if self.images_seen == 20:
            signal.raise_signal(signal.SIGTERM)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, "iterate", stop)
        with pytest.raises(KeyboardInterrupt):
            train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path / "run"))
    return RunFolder(tmp_path / "run")


def renamed(cohort):
    """The same images, with "fair" instead of "pale"."""
    conditions = cohort.rows["condition"].replace("pale", "fair")
    return Cohort.from_rows(cohort.root, cohort.rows.assign(condition=conditions))


def test_a_changed_cohort_is_described_in_words(tiny_config, tiny_cohort, stopped):
    fewer = Cohort.from_rows(tiny_cohort.root, tiny_cohort.rows[2:])
    with pytest.raises(UserError, match=r"\(cohort: 2 images were removed\)"):
        train_generator(tiny_config, fewer, stopped)
    named = renamed(tiny_cohort)
    with pytest.raises(UserError, match=r"another condition; cohort: the condition pale is gone"):
        train_generator(tiny_config, named, stopped)
    with pytest.raises(UserError, match=r"\(trained on folds: 0, 1, 2 before, 0, 1 now\)"):
        train_generator(tiny_config, tiny_cohort, stopped, exclude_folds=["2"])


def test_a_run_of_an_earlier_version_resumes(tiny_config, tiny_cohort, stopped):
    """It has no records, and names snapshots after thousands of images."""
    shutil.rmtree(stopped.path / ".run")
    (stopped.path / "snapshot-000000024.safetensors").rename(stopped.path / "snapshot-000000.safetensors")
    says = "cohort: the condition pale is gone; cohort: the condition fair is new"
    with pytest.raises(UserError, match=says) as error:
        train_generator(tiny_config, renamed(tiny_cohort), stopped, overwrite=True)
    assert "--overwrite" not in str(error.value)  # it is not known which files are its own
    newest = train_generator(tiny_config, tiny_cohort, stopped)
    assert newest.name == "snapshot-000000040.safetensors"
    assert list_snapshots(stopped.path)[0].name == "snapshot-000000.safetensors"


def test_overwriting_starts_again_with_other_settings(tiny_config, tiny_cohort, stopped):
    (stopped.path / "notes.txt").write_text("mine")
    other = tiny_config.model_copy(update={"gamma": 3.0, "kimg": 0.016})
    train_generator(other, tiny_cohort, stopped, overwrite=True)
    assert [path.name for path in list_snapshots(stopped.path)] == ["snapshot-000000016.safetensors"]
    assert [line["kimg"] for line in stats(stopped.path)] == [0.012, 0.016]
    assert (stopped.path / "notes.txt").exists()


def stats(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
