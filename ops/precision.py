"""Autocast: operations that ignore it, and CPUs on which the lower precision would be slower."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


@torch.compiler.assume_constant_result
def bfloat16_runs() -> bool:
    """Whether CPU autocast is on and the CPU has bfloat16 arithmetic; the emulation is 100 times slower."""
    capabilities = torch.cpu.get_capabilities()
    computes = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.is_autocast_enabled("cpu") and computes


def own_precision(x: torch.Tensor) -> AbstractContextManager[object]:
    """Turn autocast off within the block, so that resampling and activations compute in the dtype of x."""
    if torch.amp.is_autocast_available(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


@contextmanager
def without_emulation(device_type: str) -> Iterator[None]:
    """Turn autocast off within the block on a CPU that would emulate it, where float32 is faster."""
    enabled = torch.is_autocast_enabled(device_type) and (device_type != "cpu" or bfloat16_runs())
    with torch.autocast(device_type, enabled=enabled):
        yield
