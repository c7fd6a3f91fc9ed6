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


PATCHED = """
import signal, sys
from morphoscope.apps.__main__ import main
from morphoscope.classify.ensemble import Ensemble
Ensemble.calibrate = lambda self, cohort: signal.raise_signal(signal.SIGTERM)
main()
"""


def test_a_training_that_is_stopped_after_its_last_fold_says_so(cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["classify", "train", cohort, "--run", run, "--folds", "0", "--device", "cpu"]
    for key, value in {**SETTINGS, "epochs": 1}.items():
        words += ["--set", f"{key}={value}"]
    found = subprocess.run(
        [sys.executable, "-c", PATCHED, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 130, found.stderr
    last = found.stderr.splitlines()[-1]
    assert last == (
        f"morphoscope: Stopped; 1 of 1 folds are finished. Re-run the command with --run {run} to resume."
    )
    assert not (run / ".run" / "holder.json").exists()


# A test run in the background of a script ignores SIGINT, and its processes would, too.
STOPPED_WHILE_LOADING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "morphoscope.apps.cli":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from morphoscope.apps.__main__ import main
main()
"""


def test_a_program_that_is_stopped_while_it_is_loaded_is_quiet() -> None:
    words = [sys.executable, "-c", STOPPED_WHILE_LOADING, "doctor"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "morphoscope: Stopped.\n")
