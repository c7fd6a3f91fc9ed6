"""Processes alone and together: sums, agreement, errors that reach all, and a launcher's variables."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.runtime.torch_processes import Processes, joined

TOGETHER = """
import sys
import torch
from morphoscope.configs import UserError
from morphoscope.runtime.torch_processes import joined

with joined("cpu") as processes:
    rank = processes.rank
    a, b = torch.full([2, 3], float(rank + 1)), torch.tensor(10.0 * (rank + 1))
    processes.sum([a, b])
    assert a.eq(3).all() and a.shape == (2, 3) and b == 30
    assert processes.any(rank == 1) and not processes.any(False)
    assert processes.same(7) and not processes.same(rank)
    assert processes.on_main(lambda: f"from {rank}") == "from 0"
    def fails():
        raise UserError("the disk is full")
    try:
        processes.on_main(fails)
    except UserError as error:
        sys.stdout.write(f"{rank} {error}\\n")  # at once, since both processes write
    assert not processes.any(False)  # nobody was left waiting
"""


def test_alone_everything_is_local() -> None:
    alone = Processes(torch.device("cpu"))
    tensor = torch.ones(3)
    alone.sum([tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert alone.is_main
    assert alone.any(True)
    assert not alone.any(False)
    assert alone.same(3)
    assert alone.on_main(lambda: 5) == 5


def test_two_processes_together(tmp_path: Path) -> None:
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, script], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(done.stdout.split("\n")) == ["", "0 the disk is full", "1 the disk is full"]


def test_a_world_without_a_launcher_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(UserError, match=r"WORLD_SIZE is 2, but RANK, .* is not set"),
        joined("cpu"),
    ):
        pass


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cpu") as processes:
        assert (processes.rank, processes.world) == (0, 1)
    with pytest.raises(UserError, match="unknown device"), joined("abacus"):
        pass
