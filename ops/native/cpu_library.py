"""TEMPORARY: builds csrc/cpu/*.cpp at first use without a cache. To be replaced (same interface)."""

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

import torch

_SOURCES = Path(__file__).parents[1] / "csrc"


class CpuLibrary:
    """The loaded kernels; every exported function takes a pointer to its params struct and returns 0."""

    def __init__(self, path: Path) -> None:
        self._handle = ctypes.CDLL(str(path))

    def call(self, name: str, params: ctypes.Structure) -> None:
        """Run one kernel; the interpreter lock is released meanwhile."""
        code = getattr(self._handle, name)(ctypes.byref(params))
        assert code == 0, f"{name} does not serve these parameters"


@functools.cache
def cpu_library() -> CpuLibrary:
    """Build (once) and load the CPU kernels."""
    target = Path(tempfile.mkdtemp()) / "kernels.so"
    torch_lib = Path(torch.__file__).parent / "lib"
    flags = "-O3 -std=c++20 -shared -fPIC -fopenmp -march=x86-64-v3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wall -Wextra".split()
    sources = sorted(map(str, (_SOURCES / "cpu").glob("*.cpp")))
    subprocess.run(
        ["g++", *flags, f"-I{_SOURCES}", *sources, "-o", str(target), f"-L{torch_lib}", f"-Wl,-rpath,{torch_lib}"],
        check=True,
    )
    return CpuLibrary(target)
