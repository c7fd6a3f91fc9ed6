"""Training in two processes: equal to one with the same micro-batches, and resumed exactly."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from morphoscope.generate import train_generator
from morphoscope.generate.training.resume import STATE
from morphoscope.runtime import RunFolder

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def config(tiny_config):
    """A config with everything that is averaged over processes: ADA, path lengths, w_avg, LeCam, outputs."""
    small = {
        "micro_batch": 2,
        "mbstd_group": 2,
        "lecam_weight": 0.1,
        "transition_start_kimg": 0.01,
        "transition_end_kimg": 0.03,
        "sampling": "balanced",
        "mirror": True,
    }
    return tiny_config.model_copy(update=small)


@pytest.fixture(scope="module")
def together(config, tiny_cohort, tmp_path_factory):
    """A folder with the runs `whole` and `cut` of two processes."""
    folder = tmp_path_factory.mktemp("together")
    settings = folder / "config.yaml"
    settings.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, SCRIPT, tiny_cohort.root, settings, folder], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def state_of(run):
    return torch.load(run / STATE, weights_only=True)


def test_two_processes_compute_what_one_does(config, tiny_cohort, together, tmp_path):
    train_generator(config, tiny_cohort, RunFolder(tmp_path))
    alone, two = state_of(tmp_path), state_of(together / "whole")
    for network in ("G", "D", "G_ema"):
        for name, tensor in alone[network].items():
            torch.testing.assert_close(
                two[network][name], tensor, rtol=1e-4, atol=1e-5, msg=f"{network}.{name}"
            )
    torch.testing.assert_close(two["pl_mean"], alone["pl_mean"], rtol=1e-4, atol=0)
    assert two["ada"] == alone["ada"]
    for anchor, values in alone["lecam"].items():
        assert two["lecam"][anchor] == pytest.approx(values, rel=1e-4)


def test_two_processes_resume_exactly(together, assert_same_state):
    assert_same_state(state_of(together / "whole"), state_of(together / "cut"))
    whole, cut = ((together / run / "stats.jsonl").read_text() for run in ("whole", "cut"))
    assert whole.count("\n") >= 2
    assert cut.count("\n") == whole.count("\n") + 1  # the tick that was cut is logged in two parts


def test_one_process_may_resume_what_two_began(config, tiny_cohort, together, tmp_path):
    """The state does not depend on the number of processes."""
    longer = config.model_copy(update={"kimg": 0.048})
    shutil.copytree(together / "whole", tmp_path / "run")
    train_generator(longer, tiny_cohort, RunFolder(tmp_path / "run"))
    assert state_of(tmp_path / "run")["images_seen"] == 48
