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


def training(cohort: Path, run: Path, *options: str, **settings: object) -> list[str]:
    """The words of the command."""
    words = ["classify", "train", cohort, "--run", run, "--device", "cpu", *options]
    for key, value in {**SETTINGS, **settings}.items():
        words += ["--set", f"{key}={value}"]
    return list(map(str, words))


def epochs_done(run: Path) -> int:
    stats = run / "stats.jsonl"
    return len(stats.read_text().splitlines()) if stats.is_file() else 0


def test_a_stopped_training_says_where_and_how_to_resume(cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "morphoscope.apps", *training(cohort, run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
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


STOPPED_BY_ITSELF = """
import signal
from morphoscope.apps.__main__ import main
from {module} import {owner} as owner
original = owner.{name}
def stop(self, *arguments):
    if {condition}:
        signal.raise_signal(signal.SIGTERM)
    return original(self, *arguments)
owner.{name} = stop
main()
"""


def stopped_by_itself(words: list[str], method: str, condition: str = "True") -> str:
    """Run a command that gets SIGTERM when it calls a method of the classifier; its last line."""
    *module, owner, name = method.split(".")
    code = STOPPED_BY_ITSELF.format(
        module=".".join(["morphoscope.classify", *module]), owner=owner, name=name, condition=condition
    )
    found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert found.returncode == 130, found.stderr
    return found.stderr.splitlines()[-1]


def test_a_training_that_is_stopped_after_its_last_fold_says_so(cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    last = stopped_by_itself(training(cohort, run, "--folds", "0", epochs=1), "ensemble.Ensemble.calibrate")
    assert last == (
        f"morphoscope: Stopped; 1 of 1 folds are finished. Re-run the command with --run {run} to resume."
    )
    assert not (run / ".run" / "holder.json").exists()


def test_a_stopped_nested_training_names_the_run_folder_that_resumes(
    cohort: Path, tmp_path: Path, command_line
) -> None:
    Cohort.load(cohort).split(folds=3, seed=0).save()
    outer = tmp_path / "outer run"
    words = training(cohort, outer, "--nested", epochs=1)
    in_second = "'fold-1' in str(arguments[0]) and 'fold-2' in str(arguments[0])"
    last = stopped_by_itself(words, "training.fold.FoldTrainer.fit", in_second)
    named = f"Re-run the command with --run '{outer}' to resume."
    assert last == f"morphoscope: Stopped; 1 of 3 ensembles are trained. {named}"
    finished = list(outer.glob("repeat-1/*/folds/*.safetensors"))
    assert len(finished) == 3
    before = [path.stat() for path in finished]

    code, out, _ = command_line(*words)
    assert code == 0 and "balanced accuracy" in out
    assert [path.stat() for path in finished] == before
    assert len(list(outer.glob("repeat-1/*/folds/*.safetensors"))) == 6
    assert json.loads((outer / "summary.json").read_text())["images"] == 16


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
