"""Autocast on a CPU: only where it computes in bfloat16 is the lower precision the faster one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@torch.compiler.assume_constant_result
def bfloat16_runs() -> bool:
    """Whether autocast is on and this CPU has bfloat16 arithmetic; torch's emulation is 100 times slower."""
    capabilities = torch.cpu.get_capabilities()
    computes = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.is_autocast_enabled("cpu") and computes


@contextmanager
def without_emulation(device_type: str) -> Iterator[None]:
    """Within the block, autocast is off on a CPU that would emulate it: float32 is the faster there."""
    enabled = torch.is_autocast_enabled(device_type) and (device_type != "cpu" or bfloat16_runs())
    with torch.autocast(device_type, enabled=enabled):
        yield
