"""Autocast: which operations it leaves alone; on a CPU, where the lower precision is the faster one."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


@torch.compiler.assume_constant_result
def bfloat16_runs() -> bool:
    """Whether autocast is on and this CPU has bfloat16 arithmetic; torch's emulation is 100 times slower."""
    capabilities = torch.cpu.get_capabilities()
    computes = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.is_autocast_enabled("cpu") and computes


def own_precision(x: torch.Tensor) -> AbstractContextManager[object]:
    """Within the block autocast is off: resampling and activations compute in the dtype of x."""
    if torch.amp.is_autocast_available(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


@contextmanager
def without_emulation(device_type: str) -> Iterator[None]:
    """Within the block, autocast is off on a CPU that would emulate it: float32 is the faster there."""
    enabled = torch.is_autocast_enabled(device_type) and (device_type != "cpu" or bfloat16_runs())
    with torch.autocast(device_type, enabled=enabled):
        yield
