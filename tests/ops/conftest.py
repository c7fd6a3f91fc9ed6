"""Skipping of tests where no kernels can be built, and emulation of the CUDA kernels on a CPU.

For the emulation, g++ compiles the kernels' sources together with the driver functions that launch them.
"""

import ctypes
import os
import shlex
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from morphoscope.ops.dispatch import kernels
from morphoscope.ops.native.cache import Built, built
from morphoscope.ops.native.cuda_compilers import FLAGS
from morphoscope.ops.native.cuda_module import CudaModule
from morphoscope.ops.native.sources import SOURCES, sources_digest
from morphoscope.ops.native.toolchain import Unavailable, find_cxx

EMULATION = Path(__file__).parent / "cuda" / "emulation"

# Undefined behaviour (a misaligned vector, an index beyond shared memory, a signed overflow) traps.
_EMULATION_FLAGS = shlex.split(
    "-O1 -fPIC -shared -fno-strict-aliasing -Wall -Wextra -Werror -Wno-unknown-pragmas "
    "-fsanitize=undefined -fsanitize-undefined-trap-on-error"
)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Skip a test that failed because this machine has no compiler for the kernels, with that reason."""
    try:
        return (yield)
    except Exception as error:
        found = kernels("cpu", None, quiet=True)
        if isinstance(found, Unavailable) and found.reason in str(error):
            pytest.skip(f"no native kernels: {found.reason}")
        raise


class EmulatedCuda(CudaModule):
    """A `CudaModule` on the emulated driver that records the names of launched kernels."""

    def __init__(self, driver: ctypes.CDLL) -> None:
        path = Path(driver._name)
        super().__init__(driver, 0, Built(path, 0.0, os.open(path, os.O_RDONLY)), "g++", "emulated")
        self.launched: list[str] = []

    def launch(self, kernel: str, blocks: int, threads: int, params: ctypes.Structure) -> None:
        self.launched.append(kernel)
        super().launch(kernel, blocks, threads, params)

    @contextmanager
    def backwards(self) -> Iterator[None]:
        """Run threads and blocks in reverse order."""
        self._driver.emulation_run_backwards(1)
        try:
            yield
        finally:
            self._driver.emulation_run_backwards(0)

    @contextmanager
    def _stream(self) -> Iterator[int]:
        self._check("cuCtxSetCurrent", self._context)
        yield 0


@pytest.fixture(scope="session")
def emulated_driver() -> ctypes.CDLL:
    try:
        cxx = find_cxx()
    except Unavailable as error:
        pytest.skip(str(error))
    files = sorted(EMULATION.glob("*"))
    key = {
        "kernels": sources_digest("cuda"),
        "emulation": "\n".join(file.read_text() for file in files),
        "compiler": cxx.version,
        "flags": shlex.join([*_EMULATION_FLAGS, *FLAGS]),
    }

    def build(target: Path) -> None:
        sources = [str(file) for file in files if file.suffix == ".cpp"]
        flags = [*_EMULATION_FLAGS, *FLAGS, f"-I{SOURCES / 'cuda'}"]
        subprocess.run([*cxx.command, *flags, *sources, "-o", str(target)], check=True)

    return ctypes.CDLL(str(built("cuda-emulation", key, ".so", build).path))


@pytest.fixture
def emulated_cuda(emulated_driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> EmulatedCuda:
    """Let the bindings in ops/cuda/ run their kernels on CPU tensors."""
    module = EmulatedCuda(emulated_driver)
    monkeypatch.setattr("morphoscope.ops.cuda.launching.cuda_module", lambda index: module)
    return module
