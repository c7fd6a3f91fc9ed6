"""A classifier training that is stopped: one line that says where, and exit code 130."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.cohort import Cohort, write_image

SETTINGS = {
    "backbone": "test_efficientnet",
    "weights": "none",
    "freeze_stages": 0,
    "resolution": 32,
    "batch": 4,
    "epochs": 5000,
}


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Two conditions x 8 patients, two folds."""
    random = np.random.default_rng(0)
    rows = []
    for condition in ("dark", "pale"):
        for patient in range(8):
            file = f"{condition}-{patient}.png"
            write_image(tmp_path / "cohort" / file, random.integers(1, 256, (40, 48, 3), dtype=np.uint8))
            rows.append({"file": file, "condition": condition, "group": f"{condition}{patient}"})
    Cohort.from_rows(tmp_path / "cohort", pd.DataFrame(rows)).split(folds=2, seed=0).save()
    return tmp_path / "cohort"


def train(cohort: Path, run: Path, **settings: object) -> subprocess.Popen:
    words = [sys.executable, "-m", "morphoscope.apps", "classify", "train", cohort, "--run", run]
    for key, value in {**SETTINGS, **settings}.items():
        words += ["--set", f"{key}={value}"]
    return subprocess.Popen(
        list(map(str, [*words, "--device", "cpu"])), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def epochs_done(run: Path) -> int:
    stats = run / "stats.jsonl"
    return len(stats.read_text().splitlines()) if stats.is_file() else 0


def test_a_stopped_training_says_where_and_how_to_resume(cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = train(cohort, run)
    while process.poll() is None and epochs_done(run) < 2:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    done = epochs_done(run)
    (line,) = [line for line in errors.splitlines() if line.startswith("morphoscope: ")]
    assert line == (
        f"morphoscope: Stopped in fold 0 after epoch {done} of 5000. Re-run the command with --run {run} to "
        "resume."
    )
    assert "Stopping after this step; finished epochs are kept" in errors
    assert "Traceback" not in errors and "Aborted" not in errors
    last = json.loads((run / "stats.jsonl").read_text().splitlines()[-1])
    assert (last["fold"], last["epoch"]) == ("0", done)
