"""How a long computation treats the memory that it frees."""

import ctypes
import sys

# Parameters of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Make this process keep freed memory for its next allocations, where its C library is glibc.

    A training on a CPU frees and takes gigabytes of activations in every iteration. Handed back to the
    system, each page must be cleared and mapped anew: a twentieth of the time of an iteration.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have none
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _LARGEST)
