"""A study that is killed three times gives the figures of one that was left alone, with real trainings."""

import functools
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from tiny_study import TINY

from morphoscope.apps.study.workflow.engine import COMMAND
from morphoscope.cohort import Cohort

KILLS = ((signal.SIGTERM, 1), (signal.SIGINT, 3), (signal.SIGKILL, 4))
"""Signals, and how many of the 6 cells are finished when they come."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_figures_after_three_kills_are_those_of_an_uninterrupted_study(
    cohort: Cohort, tmp_path: Path
) -> None:
    pytest.importorskip("snakemake", reason="Snakemake is not installed")
    study = {"cohort": str(cohort.root), "arms": {"repeated": {"sampling": "balanced"}}, "shots": ["all"]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**TINY, **study}))

    def start(name: str, cores: int) -> subprocess.Popen[bytes]:
        words = ["--run", name, "--store", f"cells-{name}", "--cores", str(cores), "--device", "cpu"]
        # A shell that runs these tests in the background ignores SIGINT, and the study would inherit that.
        interruptible = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        command = [*COMMAND, "study", "run", "study.yaml", *words]
        return subprocess.Popen(command, cwd=tmp_path, preexec_fn=interruptible)

    assert start("whole", cores=2).wait() == 0
    for number, cells in KILLS:
        process = start("killed", cores=1)
        while len(list((tmp_path / "cells-killed").rglob("cell.json"))) < cells:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait() != 0
    assert start("killed", cores=1).wait() == 0
    for name in ("comparisons.csv", "comparisons.tex", "results.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
