"""Freed memory stays with the process; the peak is in GB."""

import subprocess
import sys

import pytest
import torch

from morphoscope.runtime.torch_memory import memory_gb

_COUNT = """
import resource, torch
from morphoscope.runtime.torch_memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
def faults():
    for _ in range(20):
        torch.zeros(40 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = faults()
print(faults() - first)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is a matter of Linux")
def test_a_second_round_of_allocations_takes_no_new_pages() -> None:
    def faults(keep: bool) -> int:
        run = [sys.executable, "-c", _COUNT.format(keep=keep)]
        return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)

    assert faults(keep=True) < faults(keep=False) / 10


def test_peak_counts_what_was_freed_again() -> None:
    cpu = torch.device("cpu")
    before = memory_gb(cpu)
    torch.ones(int(before * 1e9) + 100_000_000, dtype=torch.uint8)  # beyond any earlier peak; freed at once
    assert memory_gb(cpu) - before > 0.05
    assert 0 < before < 1000  # GB, not KiB
