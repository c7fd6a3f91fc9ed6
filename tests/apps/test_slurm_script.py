"""The Slurm script: told that its time ends, it stops the training and queues itself again."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "train-on-slurm.sh"
# Stands for srun, which kills its tasks when it receives a signal. Signalled by scancel, the training saves
# its state and ends. Or it ends with the exit code 7.
SRUN = """#!/bin/bash
echo "$@" > called
[ -e fails ] && exit 7
trap 'echo killed > state; kill -KILL $task; exit 1' TERM
bash training & task=$!
echo $task > task
wait $task
"""
TRAINING = """trap 'echo saved > state; kill $sleeper; exit 1' TERM
sleep 60 & sleeper=$!
touch ready
wait
"""
SCANCEL = """#!/bin/bash
[ "$1 $2" = "--signal=TERM 17.0" ] && kill -TERM "$(cat task)"
"""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then echo node-1; echo node-2; else echo "$@" > requeued; fi
"""


@pytest.fixture
def job(tmp_path):
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("scancel", SCANCEL), ("training", TRAINING)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NODELIST": "node-[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
    }

    def start() -> subprocess.Popen[bytes]:
        command = ["bash", str(SCRIPT), "cohort", "run", "--preset", "paper256"]
        return subprocess.Popen(command, cwd=tmp_path, env=environment)

    return tmp_path, start


def test_it_saves_and_queues_itself_again(job):
    folder, start = job
    process = start()
    deadline = time.monotonic() + 120
    while not (folder / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGUSR1)
    process.wait(timeout=120)
    assert (folder / "state").read_text() == "saved\n"
    assert (folder / "requeued").read_text() == "requeue 17\n"
    called = (folder / "called").read_text()
    assert "--rdzv-endpoint node-1:29500" in called
    assert "--nnodes 2" in called
    assert called.endswith("generate train cohort --run run --device cuda --preset paper256\n")


def test_a_failed_training_is_not_queued_again(job):
    folder, start = job
    (folder / "fails").touch()
    assert start().wait(timeout=120) == 7
    assert not (folder / "requeued").exists()
