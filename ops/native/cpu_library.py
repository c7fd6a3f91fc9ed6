"""The C++ kernels: built on first use, loaded and called.

One library is built for the widest instruction set of this machine. The instruction set is part of the key in
the build cache, so that a home folder shared by different machines holds one library for each. Libraries in
the wheel would have to contain every instruction set, choose among them when loaded, and match the OpenMP
runtime of every torch; instead the wheel is plain Python, and each machine gets code for its own registers.
"""

import ctypes
import functools
import logging
import os
import re
import shlex
import subprocess
from pathlib import Path

import torch

from morphoscope.ops.native import params as structs
from morphoscope.ops.native.cache import Built, built
from morphoscope.ops.native.sources import SOURCES, sources_digest
from morphoscope.ops.native.toolchain import (
    GET_CXX,
    Cxx,
    Unavailable,
    build_folder,
    cpu_isa,
    find_cxx,
    find_ninja,
)

log = logging.getLogger(__name__)

# Fused multiply-adds and no errno are safe. -ffast-math is not, because NaN and infinities must pass.
FLAGS = (
    "-O3", "-std=c++20", "-fopenmp", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
    "-Wall", "-Wextra",
)  # fmt: skip

_OUT_OF_MEMORY = 2  # as in csrc/cpu/memory.h


class CpuLibrary:
    """The loaded kernels; every exported function takes a pointer to its params struct and returns 0.

    Attributes:
        path: the library's file.
        isa: its instruction set ("avx2").
        compiler: name and version ("g++ 12.2.0").
        seconds: duration of the build.
    """

    def __init__(self, file: Built, isa: str, compiler: str) -> None:
        self.path, self.isa, self.compiler, self.seconds = file.path, isa, compiler, file.seconds
        try:
            self._handle = ctypes.CDLL(file.opened)
        except OSError as error:  # a file system mounted noexec; a libstdc++ older than the compiler's
            raise Unavailable(
                f"the built kernels cannot be loaded ({str(error).replace(file.opened, str(file.path))})",
                "set MORPHOSCOPE_CACHE to a folder whose files can be executed, or CXX to another compiler",
            ) from error
        self._set_threads = self._handle.set_threads
        self._set_threads.argtypes = [ctypes.c_int64]
        for struct in vars(structs).values():
            if isinstance(struct, type) and issubclass(struct, ctypes.Structure):
                self._check_size(struct)

    def _check_size(self, struct: type[ctypes.Structure]) -> None:
        function = getattr(self._handle, f"sizeof_{struct.__name__}", None)
        assert function is not None, f"csrc/cpu/abi.cpp lacks SIZE_OF({struct.__name__})"
        here, there = ctypes.sizeof(struct), function()
        assert here == there, f"{struct.__name__}: {here} bytes in params.py, {there} in params.h"

    @property
    def description(self) -> str:
        """For messages: "avx2, g++ 12.2.0, built in 9.5 s"."""
        return f"{self.isa}, {self.compiler}, built in {self.seconds:.1f} s"

    def call(self, name: str, params: ctypes.Structure) -> None:
        """Run one kernel with torch's number of threads, without holding the interpreter lock.

        Raises:
            MemoryError: memory is short; what the kernel should have written is undefined.
        """
        self._set_threads(torch.get_num_threads())  # OpenMP keeps this number per calling thread
        code = getattr(self._handle, name)(ctypes.byref(params))
        if code == _OUT_OF_MEMORY:
            raise MemoryError(f"{name}: not enough memory for intermediate results; use smaller batches")
        assert code == 0, f"{name} does not support these parameters"

    def number(self, name: str) -> int:
        """A constant that was compiled into the kernels."""
        return int(getattr(self._handle, name)())


@functools.cache
def cpu_library() -> CpuLibrary:
    """Build the kernels for this machine, or find them in the cache, and load them.

    Raises:
        Unavailable: they cannot be built or loaded.
        UserError: MORPHOSCOPE_CPU_ISA names an instruction set that this CPU lacks.
    """
    isa, march = cpu_isa()
    return load_library(isa, (*FLAGS, f"-march={march}"))


def load_library(isa: str, flags: tuple[str, ...]) -> CpuLibrary:
    """Build the kernels with the compiler's `flags`, or find them in the cache, and load them."""
    cxx = find_cxx()
    key = {
        "sources": sources_digest("cpu"),
        "compiler": cxx.version,
        "flags": shlex.join([*cxx.command[1:], *flags]),
        "openmp": Path(openmp_runtime(cxx)).name,
    }
    sources = sorted(SOURCES.glob("cpu/*.cpp"))

    def build(target: Path) -> None:
        compile_and_link(cxx, sources, flags, target)
        if sources_digest("cpu") != key["sources"]:  # otherwise the cache would keep it under the wrong key
            raise Unavailable("the kernels' sources were edited during the build", "run the command again")

    return CpuLibrary(built("cpu", key, ".so", build), isa, cxx.name)


def openmp_runtime(cxx: Cxx) -> str:
    """The argument that links OpenMP: the runtime that torch uses, so that there is one thread pool.

    A second runtime would have its own threads, which compete with torch's for the cores. The exception is
    clang, whose code needs clang's runtime.
    """
    runtime = None if "clang" in cxx.version else torchs_openmp()
    return "-fopenmp" if runtime is None else str(runtime)


class _SymbolInfo(ctypes.Structure):
    """Dl_info of dladdr(3)."""

    _fields_ = [
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    ]


def torchs_openmp() -> Path | None:
    """The OpenMP runtime that torch's kernels call; None if they use none.

    Other packages (scikit-learn) may have loaded theirs, even before torch. Therefore the dynamic linker is
    asked where torch's library finds the function, in the order in which it searches: what was preloaded for
    the whole program, then what the library itself needs.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    for name in (None, str(library)):  # None: the whole program
        try:
            function = ctypes.CDLL(name).omp_get_max_threads
        except (OSError, AttributeError):  # torch keeps it elsewhere; or no such function there
            continue
        found = _SymbolInfo()
        if ctypes.CDLL(None).dladdr(ctypes.cast(function, ctypes.c_void_p), ctypes.byref(found)):
            return Path(os.fsdecode(found.file)).resolve()
    return None


def compile_and_link(cxx: Cxx, sources: list[Path], flags: tuple[str, ...], target: Path) -> None:
    """Compile sources, one per core at a time, and link them as the shared library `target`.

    Raises:
        Unavailable: with the compiler's first errors.
    """
    ninja = find_ninja()
    objects = [f"{source.stem}.o" for source in sources]
    compile_ = _escaped(shlex.join([*cxx.command, *flags, f"-I{SOURCES}"]), "$")
    link = _escaped(shlex.join([*cxx.command, "-shared", "-Wl,-z,defs"]), "$")
    openmp = _escaped(shlex.quote(openmp_runtime(cxx)), "$")
    lines = [
        f"rule compile\n  command = {compile_} -c $in -o $out",
        f"rule link\n  command = {link} $in {openmp} -o $out",
        *(f"build {o}: compile {_escaped(str(s))}" for s, o in zip(sources, objects, strict=True)),
        f"build {_escaped(str(target))}: link {' '.join(objects)}",
    ]
    with build_folder(target) as folder:
        Path(folder, "build.ninja").write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run(
            [ninja, "-C", folder],
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    log.debug("%s", done.stdout)
    if done.returncode != 0:
        raise Unavailable(
            f"{cxx.name} cannot compile the kernels ({_what_failed(done.stdout + done.stderr)})",
            f"{GET_CXX}; if your compiler is one of these, please report this message",
        )


def _escaped(text: str, special: str = "$ :") -> str:
    return re.sub(f"([{re.escape(special)}])", r"$\1", text)


def _what_failed(output: str) -> str:
    """The compiler's first errors, or the last lines of what it printed, in one line."""
    lines = [line.strip().replace(f"{SOURCES}/", "") for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b|undefined reference", line, re.I)]
    return "; ".join(errors[:3] or lines[-3:])
