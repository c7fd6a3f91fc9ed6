"""Trackers: what they have written is read back with their own readers; nothing leaves the machine."""

import json
import os
import sqlite3
import subprocess
import sys

import pytest
from PIL import Image

from morphoscope.configs import UserError
from morphoscope.generate.training.tracking import open_trackers

_TRACKIO_RUNS = """
import sys
from pathlib import Path
reached = []
def note(event, given):
    if event in ("socket.connect", "socket.getaddrinfo"):
        reached.append(event)
sys.addaudithook(note)
from morphoscope.configs import UserError
from morphoscope.generate.training.tracking import open_trackers
run = Path({run!r})
for start, ticks in {parts!r}:
    tracker = open_trackers(["trackio"], run, start)
    for kimg in ticks:
        tracker.log(kimg, {{"loss_G": kimg / 2}})
    tracker.image(ticks[0], "fakes", Path({image!r}))
    tracker.close()
assert not reached, reached
try:
    open_trackers(["trackio"], run / "other")
except UserError as error:
    assert "one run per process" in str(error)
else:
    raise AssertionError("a second run was accepted")
"""


@pytest.fixture
def image_file(tmp_path):
    path = tmp_path / "fakes000001.png"
    Image.new("RGB", (6, 4), (200, 10, 10)).save(path)
    return path


def test_tensorboard_holds_values_and_images(tmp_path, image_file):
    pytest.importorskip("tensorboard", reason="the extra `track` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = open_trackers(["tensorboard"], tmp_path)
    tracker.log(1.008, {"loss_G": 0.5, "loss_D": 1.5})
    tracker.log(2.0, {"loss_G": 0.25})
    tracker.image(2.0, "fakes", image_file)
    tracker.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss_G")] == [(1008, 0.5), (2000, 0.25)]
    assert [event.value for event in events.Scalars("loss_D")] == [1.5]
    (shown,) = events.Images("fakes")
    assert (shown.width, shown.height, shown.step) == (6, 4, 2000)


def test_tensorboard_forgets_values_after_the_saved_state(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `track` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start, ticks in [(0.0, (1.0, 2.0, 3.0)), (2.0, (3.0, 4.0))]:
        tracker = open_trackers(["tensorboard"], tmp_path, start)
        for kimg in ticks:
            tracker.log(kimg, {"loss_G": start + kimg})
        tracker.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    read = [(event.step, event.value) for event in events.Scalars("loss_G")]
    assert read == [(1000, 1.0), (2000, 2.0), (3000, 5.0), (4000, 6.0)]


def test_trackio_writes_only_into_the_run_folder(tmp_path, image_file):
    """Even if the environment names a Space and a server, and there is a token."""
    pytest.importorskip("trackio", reason="the extra `track` is not installed")
    run = tmp_path / "run"
    code = _TRACKIO_RUNS.format(
        run=str(run), image=str(image_file), parts=[(0.0, (1.0, 2.0, 3.0)), (2.0, (3.0, 4.0))]
    )
    environment = {
        "TRACKIO_SPACE_ID": "someone/space",
        "TRACKIO_SERVER_URL": "https://example.org",
        "TRACKIO_DIR": str(tmp_path / "elsewhere"),
        "HF_TOKEN": "hf_nothing",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "elsewhere").exists()
    with sqlite3.connect(run / "trackio" / "morphoscope.db") as database:
        rows = database.execute("SELECT run_id, run_name, step, metrics FROM metrics ORDER BY id").fetchall()
    assert {row[:2] for row in rows} == {("morphoscope", "run")}
    logged = [(step, json.loads(metrics)) for *_, step, metrics in rows]
    losses = [(step, values["loss_G"]) for step, values in logged if "loss_G" in values]
    assert losses == [(1000, 0.5), (2000, 1.0), (3000, 1.5), (4000, 2.0)]
    shown = [values["fakes"] for _, values in logged if "fakes" in values]
    assert len(shown) == 2
    assert (run / "trackio" / "media" / shown[0]["file_path"]).read_bytes() == image_file.read_bytes()


@pytest.mark.parametrize("name", ["tensorboard", "trackio"])
def test_missing_package_names_the_extra(tmp_path, monkeypatch, name):
    monkeypatch.setenv("TRACKIO_DIR", "")
    for module in ("torch.utils.tensorboard", name):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"{name} is not installed.*morphoscope\[track\]"):
        open_trackers([name], tmp_path)


def test_unknown_tracker_is_named(tmp_path):
    with pytest.raises(UserError, match=r"wandb.*tensorboard or trackio"):
        open_trackers(["wandb"], tmp_path)


def test_without_trackers_nothing_is_written(tmp_path, image_file):
    tracker = open_trackers([], tmp_path)
    tracker.log(1.0, {"loss_G": 0.5})
    tracker.image(1.0, "fakes", image_file)
    tracker.close()
    assert list(tmp_path.iterdir()) == [image_file]
