"""What is recorded of a run: metrics, the best snapshot, alarms, and what an interruption left out."""

import io
import json
import logging
import re
import signal

import pytest
import torch
from rich.console import Console

from morphoscope.configs import UserError
from morphoscope.generate import load, train_generator
from morphoscope.generate.training import preparation, watch
from morphoscope.generate.training.keeping import best_snapshot
from morphoscope.generate.training.preparation import feature_network
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime import RunFolder


@pytest.fixture
def measured_config(tiny_config, make_network, monkeypatch):
    """A training of 3 kimg with a measured snapshot at each."""
    monkeypatch.setattr(preparation, "load_feature_network", lambda *_: make_network())
    settings = {"kimg": 3, "tick_kimg": 1, "snapshot_ticks": 1, "keep_snapshots": 1}
    smaller = {"resolution": 8, "batch": 200, "pl_weight": 0.0, "metric_network": "x", "metric_images": 8}
    return tiny_config.model_copy(update=settings | smaller)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_snapshot_is_measured_and_the_best_is_kept(measured_config, tiny_cohort, tmp_path):
    train_generator(measured_config, tiny_cohort, RunFolder(tmp_path))
    found = lines(tmp_path / "metric-averages.jsonl")
    assert [line["snapshot"] for line in found] == [f"snapshot-00000{k}000.safetensors" for k in (1, 2, 3)]
    assert set(found[0]["by_condition"]) == {"dark", "pale"}
    assert found[0]["overall"]["real"] == 18  # the training images, without the test fold
    best = min(found, key=lambda line: line["overall"]["kernel"])["snapshot"]
    assert best_snapshot(tmp_path).name == best
    kept = {path.name for path in tmp_path.glob("snapshot-*")}
    assert kept == {best, "snapshot-000003000.safetensors"}
    assert (tmp_path / "film.mp4").exists()
    assert "SYNTHETIC" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "log.txt").read_text().count("s/kimg") == 3


def test_excluded_folds_choose_and_are_said_to(measured_config, tiny_cohort, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    config = measured_config.model_copy(update={"kimg": 1})
    run = RunFolder(tmp_path / "run")
    train_generator(config, tiny_cohort, run, exclude_folds=["1", "2"], console=console)
    (line,) = lines(run.path / "metric-averages.jsonl")
    assert line["overall"]["real"] == 6  # fold 0
    assert line["held_out"]["overall"]["real"] == 12  # folds 1 and 2; the test fold stays unused
    assert line["copying"]["overall"]["patients"] == 12
    assert set(line["copying"]["by_condition"]) == {"dark", "pale"}
    assert "chosen against 12 held-out images (folds 1, 2)" in console.file.getvalue()
    train_generator(config, tiny_cohort, RunFolder(tmp_path / "all"), console=console)
    (line,) = lines(tmp_path / "all" / "metric-averages.jsonl")
    assert "held_out" not in line and "copying" not in line
    assert "No images are held out" in console.file.getvalue()


def test_an_alarm_is_raised_once_even_after_resuming(
    measured_config, tiny_cohort, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("morphoscope.generate.training.collapse.DIVERSITY_ALARM", 1e9)  # for any images
    monkeypatch.setattr("morphoscope.generate.training.collapse._QUIET_KIMG", 0)
    first = measured_config.model_copy(update={"kimg": 1})
    with caplog.at_level(logging.WARNING, "morphoscope"):
        train_generator(first, tiny_cohort, RunFolder(tmp_path))
    (alarm,) = lines(tmp_path / "alarms.jsonl")
    assert re.search(r"^2 of 2 conditions collapsing.*: dark \d\S*, pale \d", alarm["message"])
    assert alarm["message"] in caplog.text
    train_generator(measured_config.model_copy(update={"kimg": 2}), tiny_cohort, RunFolder(tmp_path))
    assert len(lines(tmp_path / "alarms.jsonl")) == 1


def test_what_an_interruption_left_out_is_done_later(measured_config, tiny_cohort, tmp_path, monkeypatch):
    """Interrupted in the last iteration before a snapshot: it is measured only when the run resumes."""
    original = GeneratorTrainer.iterate

    def stopped(self):
        if self.images_seen == 800:
            signal.raise_signal(signal.SIGTERM)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, "iterate", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_generator(measured_config, tiny_cohort, RunFolder(tmp_path))
    assert (tmp_path / "snapshot-000001000.safetensors").exists()
    assert not (tmp_path / "metric-averages.jsonl").exists()
    train_generator(measured_config, tiny_cohort, RunFolder(tmp_path))
    assert [line["kimg"] for line in lines(tmp_path / "metric-averages.jsonl")] == [1.0, 2.0, 3.0]


def test_a_finished_run_without_a_film_gets_one(measured_config, tiny_cohort, tmp_path):
    config = measured_config.model_copy(update={"kimg": 1})
    train_generator(config, tiny_cohort, RunFolder(tmp_path))
    (tmp_path / "film.mp4").unlink()
    train_generator(config, tiny_cohort, RunFolder(tmp_path))
    assert (tmp_path / "film.mp4").exists()


def test_an_interruption_leaves_a_measured_snapshot_and_writes_one_of_its_own(
    measured_config, tiny_cohort, tmp_path, monkeypatch
):
    original = GeneratorTrainer.iterate

    def stopped(self):
        if self.images_seen == 1200:  # in the middle of the next tick, within the same kimg
            signal.raise_signal(signal.SIGTERM)
        return original(self)

    monkeypatch.setattr(GeneratorTrainer, "iterate", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_generator(measured_config, tiny_cohort, RunFolder(tmp_path))
    assert load(tmp_path / "snapshot-000001000.safetensors").metadata.kimg == 1.0
    assert torch.load(tmp_path / "training-state.pt", weights_only=True)["images_seen"] == 1400
    assert load(tmp_path / "snapshot-000001400.safetensors").metadata.kimg == 1.4


def test_a_failing_report_does_not_stop_a_training(
    measured_config, tiny_cohort, tmp_path, monkeypatch, caplog
):
    def fails(run):  # at three snapshots and at the end
        raise UserError("no space for a report")

    monkeypatch.setattr(watch, "write_training_report", fails)
    with caplog.at_level(logging.WARNING, "morphoscope"):
        train_generator(measured_config, tiny_cohort, RunFolder(tmp_path))
    assert caplog.text.count("no space for a report") == 1
    assert (tmp_path / "training-state.pt").exists()


def test_without_the_default_network_a_training_runs_with_a_warning(monkeypatch, caplog):
    def absent(source, device):
        raise UserError("install the extra")

    monkeypatch.setattr(preparation, "load_feature_network", absent)
    with caplog.at_level(logging.WARNING, "morphoscope"):
        assert feature_network("efficientnet_lite0", torch.device("cpu")) is None
    assert "Metrics and the collapse alarm are off" in caplog.text
    with pytest.raises(UserError, match="install the extra"):
        feature_network("weights.pth", torch.device("cpu"))
    assert feature_network(None, torch.device("cpu")) is None


def test_a_folder_with_snapshots_but_no_state_is_refused(tiny_config, tiny_cohort, tmp_path):
    train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path))
    (tmp_path / "training-state.pt").unlink()
    with pytest.raises(UserError, match=r"no state to resume from.*--start-from .*snapshot-000000040"):
        train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path))


def test_an_error_leaves_no_empty_folder(tiny_config, tiny_cohort, tmp_path):
    wrong = tiny_config.model_copy(update={"stages": {"medium": ("dark", "pale")}})
    with pytest.raises(UserError, match="medium"):
        train_generator(wrong, tiny_cohort, RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
