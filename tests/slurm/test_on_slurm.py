"""On a real Slurm: a study, a generator trained in two processes, and a training that requeues itself.

All in one file, since there can be one Slurm at a time. Nothing here waits for the end of a time limit:
`scancel` sends the signal that comes before it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml
from slurm_of_one_node import CONFIG, OneNode, free_port, why_not
from tiny_study import TINY, write_colours

from morphoscope.apps.study.workflow.engine import COMMAND
from morphoscope.cohort import Cohort
from morphoscope.configs import load_config
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import train_generator
from morphoscope.generate.training.resume import STATE
from morphoscope.runtime import RunFolder

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "apps" / "study" / "workflow" / "profiles" / "slurm" / "config.yaml"
SCRIPT = ROOT / "docs" / "train-on-slurm.sh"


@pytest.fixture(scope="module")
def slurm() -> Iterator[OneNode]:
    """A Slurm of one node with 4 cores and 64 GB, as it thinks."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    # Not pytest's folder, which other users, such as munge, may not enter.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    node = OneNode(folder)
    try:
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder)
    assert not CONFIG.exists()


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return write_colours(tmp_path / "colours")


def wait_until(done: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    while not done():
        assert process is None or process.poll() is None
        time.sleep(0.2)


def test_a_study_gives_the_same_figures_as_on_this_machine(
    slurm: OneNode, cohort: Cohort, tmp_path: Path
) -> None:
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="Snakemake's plugin for Slurm is missing")
    study = {"cohort": str(cohort.root), "arms": {"repeated": {"sampling": "balanced"}}, "shots": ["all"]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**TINY, **study}))
    profile = {**yaml.safe_load(PROFILE.read_text()), "slurm-init-seconds-before-status-checks": 2}
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "config.yaml").write_text(yaml.safe_dump(profile))
    for name, where in (("here", ["--cores", "2"]), ("slurm", ["--profile", str(tmp_path / "quick")])):
        words = ["--run", name, "--store", f"cells-{name}", "--device", "cpu", *where]
        done = subprocess.run(
            [*COMMAND, "study", "run", "study.yaml", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:] + slurm.logs()
    for name in ("comparisons.csv", "comparisons.tex", "results.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "slurm" / name).read_bytes()
    predictions = sorted((tmp_path / "cells-here").rglob("predictions.csv"))
    assert len(predictions) == 4
    for path in predictions:
        other = tmp_path / "cells-slurm" / path.relative_to(tmp_path / "cells-here")
        assert other.read_bytes() == path.read_bytes()
    assert (slurm.folder / "slurmctld.log").read_text().count("WEXITSTATUS 0") >= 6, "a job per cell"


def test_two_processes_of_srun_train_as_one_does(slurm: OneNode, cohort: Cohort, tmp_path: Path) -> None:
    folds = cohort.split(2, 0)
    folds.save()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**TINY["generator"], "micro_batch": 2}))
    words = [
        "generate",
        "train",
        folds.root,
        "--config",
        "config.yaml",
        "--run",
        "together",
        "--device",
        "cpu",
    ]
    told = "RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS exec"
    command = f"{told} {' '.join(map(str, [*COMMAND, *words]))}"
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    done = subprocess.run(
        ["srun", "--ntasks", "2", "bash", "-c", command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + slurm.logs()
    config = load_config(GeneratorTraining, file=tmp_path / "config.yaml")
    train_generator(config, folds, RunFolder(tmp_path / "alone"))
    together, alone = (torch.load(tmp_path / run / STATE, weights_only=True) for run in ("together", "alone"))
    assert together["images_seen"] == alone["images_seen"] == 20
    for name, tensor in alone["G_ema"].items():
        torch.testing.assert_close(together["G_ema"][name], tensor, rtol=1e-4, atol=1e-5, msg=name)


class Job:
    """A training that is submitted with the script of the documentation.

    Args:
        settings: of `generate train`.
    """

    def __init__(self, slurm: OneNode, cohort: Cohort, folder: Path, settings: dict[str, object]) -> None:
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))
        self.run, self.log = folder / "run", folder / "log"
        beside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where torchrun is
        options = ["--parsable", "--gpus-per-node=0", "--cpus-per-task=1", "--mem=1000", "--time=60"]
        options += ["--signal=B:USR1@60", f"--output={self.log}"]
        words = [cohort.root, self.run, "--device", "cpu", "--config", folder / "config.yaml"]
        submitted = subprocess.run(
            ["sbatch", *options, SCRIPT, *words],
            cwd=folder,
            env={**os.environ, "PATH": beside},
            capture_output=True,
            text=True,
            check=True,
        )
        self.number = submitted.stdout.strip()
        self._slurm = slurm

    def ticks(self) -> list[float]:
        """Thousands of images at the end of every tick that the training has recorded."""
        stats = self.run / "stats.jsonl"
        return [json.loads(line)["kimg"] for line in stats.read_text().splitlines()] if stats.exists() else []

    def fact(self, name: str) -> str:
        """What `scontrol show job` says of it, e.g. of Restarts."""
        command = ["scontrol", "show", "job", self.number]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return dict(word.split("=", 1) for word in shown.split() if "=" in word)[name]


ENDLESS = {**TINY["generator"], "kimg": 100_000, "tick_kimg": 0.1, "snapshot_ticks": 100_000}


def test_a_training_requeues_itself_and_resumes(slurm: OneNode, cohort: Cohort, tmp_path: Path) -> None:
    folds = cohort.split(2, 0)
    folds.save()
    job = Job(slurm, folds, tmp_path, ENDLESS)
    wait_until(lambda: len(job.ticks()) >= 2)
    subprocess.run(["scancel", "--batch", "--signal=USR1", job.number], check=True)
    wait_until(lambda: job.fact("Restarts") == "1")
    seen = torch.load(job.run / STATE, weights_only=True)["images_seen"]
    before = job.ticks()
    wait_until(lambda: len(job.ticks()) >= len(before) + 2)
    assert "Requeued; the state is in" in job.log.read_text()
    assert before[-1] == seen / 1000 and job.ticks() == sorted(set(job.ticks())), "not from the beginning"
    # A user who cancels it has the last word: it saves, and is not queued again.
    subprocess.run(["scancel", job.number], check=True)
    wait_until(lambda: not slurm.jobs())
    assert job.fact("JobState") == "CANCELLED" and job.fact("Restarts") == "1"
    assert torch.load(job.run / STATE, weights_only=True)["images_seen"] > seen
