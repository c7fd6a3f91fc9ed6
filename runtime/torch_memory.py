"""Memory of a long computation: its peak, and what happens to memory that it frees."""

import ctypes
import sys

import torch

# Parameters of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Make this process keep freed memory for its next allocations, if its C library is glibc.

    Training on a CPU frees and allocates gigabytes of activations in every iteration. If they are returned to
    the system, each page must be cleared and mapped again, which takes 5% of the time of an iteration.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries do not have it
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _LARGEST)


def give_back_freed_memory() -> None:
    """Return what this process has freed to the system, if its C library is glibc.

    Threads free into arenas of their own, which glibc keeps: after a large computation in one of the many
    threads of a server, gigabytes that nothing uses would stay with it.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def memory_gb(device: torch.device) -> float:
    """Peak memory of this process so far, in GB (10^9 bytes).

    On a GPU: what torch has reserved there, recorded graphs included. On a CPU: the main memory of the whole
    process, or 0 on Windows, where Python cannot tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e9
    if sys.platform == "win32":
        return 0.0
    import resource  # absent on Windows

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, else KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
