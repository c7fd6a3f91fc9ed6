"""Kernels that run out of memory raise an error; they crashed before."""

import subprocess
import sys

import pytest

from morphoscope.ops.dispatch import native_runs

if not native_runs("cpu", None):
    pytest.skip("no native kernels can be built here", allow_module_level=True)

_SETUP = """
import resource, torch
from morphoscope.ops.cpu.conv3x3 import Weights, channel_multiple, conv3x3_weight_gradient, pack, run
from morphoscope.ops.cpu.grid_sample import grid_sample_transposed_cpu
torch.set_num_threads(1)
x, narrow = torch.ones(4, 1024, 32, 32), torch.ones(channel_multiple(), 1024, 3, 3)
small, f = torch.ones(1, 512, 9, 9), torch.ones(4, 4)
u, grid = torch.ones(1, 8, 32, 32).half(), torch.zeros(1, 32, 32, 2).half()
def packed(algorithm, mode="same"):
    return pack(Weights(narrow, False, mode), algorithm)
"""
_CALLS = {
    "direct": "weight = packed('direct'); call = lambda: run(x, weight)",
    "winograd": "weight = packed('winograd'); call = lambda: run(x, weight)",
    "upsampling": "weight = packed('upsampling', 'up'); call = lambda: run(x, weight, None, f)",
    "winograd's gradient": "call = lambda: conv3x3_weight_gradient(small, small, 'same')",
    "strided gradient": "call = lambda: conv3x3_weight_gradient(small, small[:, :, :4, :4], 'down')",
    "bfloat16": "weight = packed('bfloat16'); call = lambda: run(x[:1], weight, bfloat16=1)",
    "bfloat16, upsampling": (
        "weight = packed('bfloat16', 'up'); call = lambda: run(x[:1], weight, None, f, bfloat16=1)"
    ),
    "bfloat16, gradient": "call = lambda: conv3x3_weight_gradient(small, small, 'same', bfloat16=1)",
    "grid_sample": "call = lambda: grid_sample_transposed_cpu(u, grid, 1024, 1024)",
}
# From little more than what is in use to plenty; each allocation that fails must be an exception.
_SWEEP = """
refused = 0
for kilobytes in [int(1.5**step * 64) for step in range(23)]:
    used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
    resource.setrlimit(resource.RLIMIT_AS, ((used + kilobytes) * 1024, -1))
    try:
        call()
    except MemoryError as error:
        refused += "not enough memory for intermediate results" in str(error)
    except RuntimeError as error:  # torch's own, for the result
        assert "memory" in str(error), error
call()
print("refused" if refused else "never refused")
"""


@pytest.mark.parametrize("name", _CALLS)
def test_a_kernel_without_memory_raises_an_error(name: str) -> None:
    script = "\n".join([_SETUP, _CALLS[name], _SWEEP])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:] or done.returncode
    assert done.stdout.strip() == "refused"
