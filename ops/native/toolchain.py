"""What this machine offers for building kernels: compilers, ninja and the CPU's instruction set."""

import functools
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from morphoscope.configs import UserError

GET_CXX = "install g++ 11 or newer (apt install g++; conda install gxx_linux-64), or name one in CXX"


class Unavailable(Exception):  # noqa: N818 (a state of the machine rather than an error in it)
    """Native kernels are unavailable on this machine: the reason, and what the user can do to fix it."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason, fix)
        self.reason = reason
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.reason}; {self.fix}"


def build_folder(target: Path) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder beside `target` for what a build leaves, since /tmp is open to all users.

    Its name starts with that of `target`, by which the cache finds what a killed build left.
    """
    return tempfile.TemporaryDirectory(prefix=f"{target.stem}-", dir=target.parent)


@dataclass(frozen=True)
class Cxx:
    """A C++ compiler: the command that starts it, and the first line of its --version."""

    command: tuple[str, ...]
    version: str

    @property
    def name(self) -> str:
        """Name and version, short enough for a table: "g++ 12.2.0"."""
        # The distribution's version may come before the compiler's.
        numbers = re.findall(r"\d+\.\d+\.\d+", self.version)
        program = [word for word in self.command if not word.startswith("-")][-1]
        return f"{Path(program).name} {numbers[-1] if numbers else self.version}"


@dataclass(frozen=True)
class Nvcc:
    """A CUDA compiler inside its toolkit; `version` as in "13.0.88"."""

    path: Path
    version: str
    root: Path


def find_cxx() -> Cxx:
    """The compiler that CXX names, or else the first of g++, clang++ and c++ that compiles C++20 with OpenMP.

    g++ comes first because torch has already loaded its OpenMP runtime.

    Raises:
        Unavailable: there is none, or the one that CXX names does not compile C++20 with OpenMP.
    """
    if sys.platform != "linux":
        raise Unavailable("native kernels are built on Linux only", "run on Linux to use them")
    if named := os.environ.get("CXX"):
        return _try_cxx(tuple(shlex.split(named)))
    failures = []
    for candidate in ("g++", "clang++", "c++"):
        if path := shutil.which(candidate):
            try:
                return _try_cxx((path,))
            except Unavailable as error:
                failures.append(error.reason)
    raise Unavailable("; ".join(failures) or "no C++ compiler was found (g++, clang++, c++)", GET_CXX)


@functools.cache
def _try_cxx(command: tuple[str, ...]) -> Cxx:
    probe = "#include <omp.h>\n#include <concepts>\ntemplate <std::integral T> T f(T x) { return x; }\n"
    try:
        version = _output([*command, "--version"])
        _output([*command, "-std=c++20", "-fopenmp", "-x", "c++", "-fsyntax-only", "-"], probe)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or "").strip() or str(error)
        reason = f"the compiler '{shlex.join(command)}' does not compile C++20 with OpenMP"
        raise Unavailable(f"{reason} ({said.splitlines()[0]})", GET_CXX) from error
    return Cxx(command, version.splitlines()[0].strip())


def find_ninja() -> str:
    """Path of the program `ninja`: from the Python package, or else from the PATH.

    Raises:
        Unavailable: it is in neither.
    """
    if importlib.util.find_spec("ninja"):
        from ninja import BIN_DIR

        if path := shutil.which("ninja", path=BIN_DIR):
            return path
    if path := shutil.which("ninja"):
        return path
    raise Unavailable("the build tool ninja was not found", "run `pip install ninja`")


def find_nvcc() -> Nvcc | None:
    """The CUDA compiler of CUDA_HOME, CUDA_PATH, the PATH or /usr/local/cuda*; None if none is usable.

    The nvcc on the PATH may be a symbolic link or a wrapper script outside the toolkit. Started through a
    link, it finds neither its profile nor its headers. Therefore links are followed, and the folder of the
    toolkit is taken from nvcc's own output.
    """
    return _first_nvcc(tuple(os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH", "PATH")))


@functools.cache
def _first_nvcc(environment: tuple[str | None, ...]) -> Nvcc | None:
    """The result depends on `environment` (CUDA_HOME, CUDA_PATH, PATH), which is the key of the cache."""
    *homes, _ = environment
    candidates = [str(Path(home, "bin", "nvcc")) for home in homes if home]
    candidates.append(shutil.which("nvcc") or "")
    installed = Path("/usr/local").glob("cuda*/bin/nvcc")
    candidates += map(str, sorted(installed, key=lambda path: (path.parts[3] != "cuda", _newest(path))))
    return next((nvcc for nvcc in map(_try_nvcc, filter(os.path.isfile, candidates)) if nvcc), None)


def _newest(path: Path) -> list[int]:
    return [-int(number) for number in re.findall(r"\d+", path.parts[3])]


def _try_nvcc(candidate: str) -> Nvcc | None:
    nvcc = Path(candidate).resolve()
    try:
        version = re.search(r"\bV(\d+(?:\.\d+)+)", _output([str(nvcc), "--version"]))
        # A dry run prints nvcc's settings, among them TOP, the folder of the toolkit.
        top = re.search(
            r"^#\$ TOP=(.+)$", _output([str(nvcc), "--dryrun", "-x", "cu", "-E", os.devnull]), re.M
        )
    except (OSError, subprocess.SubprocessError):
        return None
    if not version or not top:
        return None
    root = Path(top[1].strip()).resolve()
    inside = root / "bin" / "nvcc"
    return Nvcc(inside if inside.is_file() else nvcc, version[1], root)


def _output(command: list[str], source: str = "") -> str:
    """Everything that a compiler prints to stdout and stderr."""
    done = subprocess.run(command, input=source, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Isa:
    """An instruction set: its name for GCC's -march, and the CPU flags of /proc/cpuinfo that it needs."""

    march: str
    flags: frozenset[str]


_V3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})
_V4 = _V3 | frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})

# The widest first.
_ISAS = {
    "x86_64": {
        "avx512": Isa("x86-64-v4", _V4),
        "avx2": Isa("x86-64-v3", _V3),
        "sse2": Isa("x86-64", frozenset()),
    },
    "aarch64": {"neon": Isa("armv8-a", frozenset())},
}


def cpu_isa() -> tuple[str, str]:
    """The widest instruction set of this CPU as (name, -march), such as ("avx2", "x86-64-v3").

    MORPHOSCOPE_CPU_ISA can name a narrower one.

    Raises:
        Unavailable: the CPU is neither x86_64 nor aarch64.
        UserError: MORPHOSCOPE_CPU_ISA names one that this CPU lacks.
    """
    family = _ISAS.get(platform.machine())
    if family is None:
        raise Unavailable(
            f"the kernels are written for x86_64 and aarch64, and this is {platform.machine()}",
            "run on a CPU of these families to use them",
        )
    flags = _cpu_flags()
    here = {name: isa for name, isa in family.items() if isa.flags <= flags}
    name = os.environ.get("MORPHOSCOPE_CPU_ISA") or next(iter(here))
    if name not in here:
        raise UserError(f"MORPHOSCOPE_CPU_ISA={name}: this CPU supports only {', '.join(here)}.")
    return name, here[name].march


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
