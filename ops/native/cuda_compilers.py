"""nvcc and NVRTC: either of them compiles `csrc/cuda/kernels.cu` to a file that the CUDA driver loads."""

import ctypes
import os
import re
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch

from morphoscope.ops.native.params import BiasActParams, GridSampleParams, Upfirdn2dParams
from morphoscope.ops.native.sources import SOURCES
from morphoscope.ops.native.toolchain import Nvcc, Unavailable, build_folder, find_nvcc

_FOLDER = SOURCES / "cuda"
_MAIN = _FOLDER / "kernels.cu"
_PARALLEL_SINCE = (13, 0)  # versions from this one on accept --split-compile

_STRUCTS = (BiasActParams, GridSampleParams, Upfirdn2dParams)
# No --use_fast_math: NaN and infinities must pass. The compiler compares the sizes with csrc/params.h.
FLAGS = ("--std=c++17", *(f"-DSIZEOF_{struct.__name__}={ctypes.sizeof(struct)}" for struct in _STRUCTS))


class CudaCompiler(Protocol):
    """A CUDA compiler; `name` as in "nvcc 13.0", and the full `version`."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...

    def supports(self, architecture: str) -> bool:
        """Whether it compiles for an architecture: "sm_90", or "compute_90", which gives PTX."""

    def compile(self, architecture: str, target: Path) -> str:
        """Write a cubin or PTX to `target`, and return the compiler's messages.

        Raises:
            Unavailable: with the first errors.
        """


class NvccCompiler:
    """The compiler of a CUDA toolkit."""

    def __init__(self, nvcc: Nvcc) -> None:
        self._nvcc = nvcc
        self.version = nvcc.version
        self.name = f"nvcc {'.'.join(nvcc.version.split('.')[:2])}"

    def supports(self, architecture: str) -> bool:
        return architecture.removesuffix("a") in self._supported  # sm_90a is not listed, only sm_90

    @cached_property
    def _supported(self) -> set[str]:
        return set(self._run("--list-gpu-code").split() + self._run("--list-gpu-arch").split())

    def compile(self, architecture: str, target: Path) -> str:
        kind = "--ptx" if _gives_ptx(architecture) else "--cubin"
        flags = [*FLAGS, *_parallel(self.version), "-O3", f"--gpu-architecture={architecture}", kind]
        with build_folder(target) as folder:
            return self._run(*flags, str(_MAIN), "--output-file", str(target), TMPDIR=folder)

    def _run(self, *arguments: str, **environment: str) -> str:
        command = [str(self._nvcc.path), *arguments]
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        if done.returncode:
            raise _failed(self.name, output)
        return output


class Nvrtc:
    """The compiler library that comes with torch; it needs neither a toolkit nor a C++ compiler.

    Raises:
        Unavailable: the library cannot be loaded.
    """

    def __init__(self) -> None:
        library = f"libnvrtc.so.{(torch.version.cuda or '').split('.')[0]}"
        try:
            self._library = ctypes.CDLL(library)  # if torch has loaded it, the name is enough
        except OSError as error:
            raise Unavailable(
                f"{library} cannot be loaded ({error})",
                "install torch with its CUDA packages, or a CUDA toolkit of the same version",
            ) from error
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"
        self.name = f"NVRTC {self.version}"

    def supports(self, architecture: str) -> bool:
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", numbers)
        return int(re.sub(r"\D", "", architecture)) in numbers

    def compile(self, architecture: str, target: Path) -> str:
        options = [
            *FLAGS,
            *_parallel(self.version),
            f"--gpu-architecture={architecture}",
            f"--include-path={_FOLDER}",
            "--device-as-default-execution-space",  # for lambdas, which nvcc compiles for the device anyway
        ]
        program = ctypes.c_void_p()
        source = _MAIN.read_bytes()
        self._call("nvrtcCreateProgram", ctypes.byref(program), source, _MAIN.name.encode(), 0, None, None)
        try:
            encoded = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
            code = self._library.nvrtcCompileProgram(program, len(options), encoded)
            output = self._fetch(program, "ProgramLog").rstrip(b"\0").decode(errors="replace").strip()
            if code:
                raise _failed(self.name, output)
            target.write_bytes(self._fetch(program, "PTX" if _gives_ptx(architecture) else "CUBIN"))
        finally:
            self._call("nvrtcDestroyProgram", ctypes.byref(program))
        return output

    def _fetch(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, buffer)
        return buffer.raw

    def _call(self, function: str, *arguments: object) -> None:
        if code := getattr(self._library, function)(*arguments):
            self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
            raise RuntimeError(f"{function}: {self._library.nvrtcGetErrorString(code).decode()}")


def find_compilers() -> list[CudaCompiler]:
    """The CUDA compilers of this machine, nvcc first, provided that its major version of CUDA is torch's.

    A driver that is just new enough for torch does not load the output of a newer toolkit.

    Raises:
        Unavailable: there is none.
    """
    found: list[CudaCompiler] = []
    nvcc = find_nvcc()
    if nvcc and nvcc.version.split(".")[0] == (torch.version.cuda or "").split(".")[0]:
        found.append(NvccCompiler(nvcc))
    try:
        found.append(Nvrtc())
    except Unavailable:
        if not found:
            raise
    return found


def architecture_for(capability: tuple[int, int], listed: str | None) -> str:
    """The architecture to compile for: "sm_90", or "compute_80" for PTX that the driver translates.

    Args:
        capability: the device's compute capability, such as (9, 0).
        listed: TORCH_CUDA_ARCH_LIST, such as "8.0;9.0+PTX", whose newest entry that runs on the device is
            chosen. A cubin runs on devices of its major version, PTX on all newer ones.

    Raises:
        Unavailable: the list has no entry for this device, or cannot be parsed.
    """
    device = "{}.{}".format(*capability)
    if not listed:
        return f"sm_{device.replace('.', '')}"
    cubins, ptx = [], []
    for entry in re.split(r"[;,\s]+", listed.strip("; ,")):
        match = re.fullmatch(r"(\d+)\.(\d)(a?)(\+PTX)?", entry)
        if not match:
            raise Unavailable(
                f"TORCH_CUDA_ARCH_LIST contains '{entry}', which is not of the form 9.0 or 9.0+PTX",
                f"set it to {device}, or unset it",
            )
        version, exact = (int(match[1]), int(match[2])), bool(match[3])
        if version == capability or (version[0] == capability[0] and version < capability and not exact):
            cubins.append((version, match[3]))
        if match[4] and version <= capability and not exact:
            ptx.append(version)
    if cubins:
        (major, minor), suffix = max(cubins)
        return f"sm_{major}{minor}{suffix}"
    if ptx:
        return "compute_{}{}".format(*max(ptx))
    raise Unavailable(
        f"TORCH_CUDA_ARCH_LIST={listed} has no entry that runs on a device of compute capability {device}",
        f"add {device} to it, or unset it",
    )


def _gives_ptx(architecture: str) -> bool:
    return architecture.startswith("compute_")


def _parallel(version: str) -> list[str]:
    numbers = tuple(map(int, version.split(".")[:2]))
    return ["--split-compile=0"] if numbers >= _PARALLEL_SINCE else []


def _failed(name: str, output: str) -> Unavailable:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return Unavailable(
        f"{name} cannot compile the kernels ({'; '.join(errors[:3] or lines[-3:])})",
        "please report this message",
    )
