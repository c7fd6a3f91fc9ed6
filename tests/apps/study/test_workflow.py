"""The workflow: a failed cell does not stop the others, and what is finished is not done again.

A small program stands in for `morphoscope study cell`, which other tests run in earnest.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from morphoscope.apps.study.cell import Cell, Store
from morphoscope.apps.study.plan import StudyPlan
from morphoscope.apps.study.workflow import engine, guard
from morphoscope.apps.study.workflow.engine import Engine, failures
from morphoscope.configs import UserError
from morphoscope.configs.study import Study

PROGRAM = """
import json, os, sys, time
from pathlib import Path

_, study, cell, run, name, store, folder = sys.argv[:7]
assert (study, cell, store) == ("study", "cell", "--store")
with (Path(run) / "done.txt").open("a") as file:
    file.write(name + "\\n")
plan = json.loads((Path(run) / "plan.json").read_text())
kind = plan["cells"][name]["kind"]
if (Path(run) / "fail").exists() and name == (Path(run) / "fail").read_text():
    sys.exit("morphoscope: no space left for this cell")
while (Path(run) / "hang").exists() and kind == "classifier":
    time.sleep(0.05)
(Path(folder) / kind / name / "cell.json").write_text(json.dumps({"name": name, "values": {}}))
"""


@pytest.fixture
def run(tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of a cohort, a generator that fails on request, its images, and two classifiers."""
    pytest.importorskip("snakemake", reason="Snakemake is not installed")
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    monkeypatch.setattr(engine, "COMMAND", [sys.executable, str(program)])
    folder = tmp_path / "a run"
    folder.mkdir()
    plan(study).write(folder)
    return folder


def plan(study: Study) -> StudyPlan:
    cohort = Cell("cohort", {"number": 0}, {})
    generator = Cell("generator", {}, {"cohort": cohort})
    images = Cell("images", {}, {"cohort": cohort, "generator": generator})
    real = Cell("classifier", {"arm": "real"}, {"cohort": cohort})
    synthetic = Cell("classifier", {"arm": "synthetic"}, {"cohort": cohort, "images": images})
    cells = {cell.name: cell for cell in (cohort, generator, images, real, synthetic)}
    return StudyPlan(study, "0" * 16, cells, [])


def done(run: Path) -> list[str]:
    names = (run / "done.txt").read_text() if (run / "done.txt").exists() else ""
    return [line.partition("-")[0] for line in names.split()]


HERE = Engine(cores=2, threads=1, device="cpu", profile=None, dry_run=False)


def test_a_failed_cell_leaves_the_others_and_is_tried_again(run: Path, study: Study, tmp_path: Path) -> None:
    store, cells = Store(tmp_path / "the store"), plan(study).cells
    generator = next(name for name in cells if name.startswith("generator"))
    (run / "fail").write_text(generator)
    HERE.run(run, store)
    assert sorted(done(run)) == ["classifier", "cohort", "generator"]
    found = failures(run, plan(study), store)
    assert found[0].name == generator and "no space left for this cell" in "".join(found[0].lines)
    assert [one.lines for one in found[1:]] == [[], []], "images and their classifier were not started"
    (run / "fail").unlink()
    (run / "done.txt").unlink()
    HERE.run(run, store)
    assert sorted(done(run)) == ["classifier", "generator", "images"]
    assert failures(run, plan(study), store) == []


def test_a_study_that_is_stopped_three_times_leaves_nothing_running_and_resumes(
    run: Path, study: Study, tmp_path: Path
) -> None:
    store, cells = Store(tmp_path / "store"), plan(study).cells
    # A shell that runs these tests in the background has SIGINT ignored, and the study would inherit that.
    script = f"""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from pathlib import Path
        from morphoscope.apps.study.cell import Store
        from morphoscope.apps.study.workflow import engine
        engine.COMMAND = {engine.COMMAND!r}
        engine.Engine(2, 1, "cpu", None, False).run(Path({str(run)!r}), Store(Path({str(store.path)!r})))
    """
    images = next(cell for cell in cells.values() if cell.kind == "images")
    (run / "hang").touch()
    # SIGKILL comes last, so that the next run begins while the cells of this one may still be there.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        (run / "done.txt").unlink(missing_ok=True)
        started = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stderr=subprocess.DEVNULL)
        while not (store.is_finished(images) and "classifier" in done(run)):
            assert started.poll() is None
            time.sleep(0.05)
        os.kill(started.pid, number)
        started.wait()
    (run / "hang").unlink()
    (run / "done.txt").unlink()
    HERE.run(run, store)
    assert done(run) == ["classifier", "classifier"]
    assert failures(run, plan(study), store) == []
    assert not processes_of(run)


def processes_of(run: Path) -> list[str]:
    """Command lines of the running processes that have to do with a study."""
    shown = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if str(run) in line]


def test_cells_of_a_killed_study_stop_by_themselves(run: Path, study: Study, tmp_path: Path) -> None:
    """Also where a shell has started it in the background, with SIGINT ignored."""
    lock = tmp_path / "lock"
    sleeper = [sys.executable, "-c", f"import time; time.sleep(3000)  # {run}"]
    words = [sys.executable, "-m", guard.__name__, str(lock), *sleeper]
    ignored = "import signal, subprocess, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    start = f"subprocess.Popen({words!r}, stdin=subprocess.PIPE); print(1, flush=True); time.sleep(3000)"
    parent = subprocess.Popen([sys.executable, "-c", ignored + start], stdout=subprocess.PIPE)
    parent.stdout.readline()
    while len(processes_of(run)) < 3:
        time.sleep(0.05)
    assert guard.is_running(lock)
    parent.kill()
    parent.wait()
    while processes_of(run):
        time.sleep(0.05)
    assert not guard.is_running(lock)


def test_a_cell_that_missed_the_signal_receives_another(tmp_path: Path) -> None:
    """As one does that is just being started, between fork and exec."""
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1); time.sleep(3000)"
    words = [sys.executable, "-m", guard.__name__, str(tmp_path / "lock"), sys.executable, "-uc", deaf]
    guarded = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert guarded.stdout is not None and guarded.stdout.readline() == b"1\n"
    guarded.communicate(timeout=60)  # closes its standard input, as the end of `study run` does
    assert guarded.returncode == 128 + signal.SIGTERM


def test_a_dry_run_does_nothing(run: Path, tmp_path: Path) -> None:
    Engine(2, 1, "cpu", None, dry_run=True).run(run, Store(tmp_path / "store"))
    assert not (run / "done.txt").exists()


def test_without_snakemake_the_message_says_what_to_do(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.shutil, "which", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"pip install 'morphoscope\[study\]'"):
        HERE.run(run, Store(tmp_path / "store"))


def test_a_gpu_is_requested_for_cells_that_train(run: Path, tmp_path: Path) -> None:
    config = Engine(1, 4, "cuda", None, False)._config(run, Store(tmp_path / "store"))
    assert config["gpus"] == 1 and config["threads"] == 4
    assert json.dumps(config)
