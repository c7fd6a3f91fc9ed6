"""Report on this machine: what runs on each device, whether it agrees with the reference, what is missing."""

import ctypes
import platform
import shlex
from dataclasses import dataclass
from pathlib import Path

import torch

from morphoscope.ops.dispatch import bfloat16_instructions, kernels
from morphoscope.ops.native.toolchain import Unavailable, find_cxx, find_nvcc
from morphoscope.ops.self_test import OpReport, self_test

_INSTALL_CUDA_TORCH = "to use an NVIDIA GPU, install a build of torch with CUDA"
_INSTALL_DRIVER = "if this machine has an NVIDIA GPU, install its driver"
_LET_TORCH_SEE_IT = "check the output of `nvidia-smi`, and whether CUDA_VISIBLE_DEVICES hides the GPU"


@dataclass(frozen=True)
class DeviceReport:
    """The kernels of one device.

    Attributes:
        device: "cpu" or "cuda:0"; "cuda" if there is no GPU.
        path: "native" or "reference"; "absent" for a device that torch cannot use.
        detail: instruction set or architecture, and compiler, of the native kernels; otherwise why there are
            none.
        fix: how to get native kernels, if there are none.
        file: the library that was built.
    """

    device: str
    path: str
    detail: str
    fix: str | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Report:
    """Versions and tools as (name, value) pairs, one report per device, and one per operation and device."""

    facts: list[tuple[str, str]]
    devices: list[DeviceReport]
    ops: list[OpReport]


def doctor() -> Report:
    """Examine this machine, build its kernels if that has not been done, and test every operation."""
    devices = [torch.device("cpu")]
    devices += [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    reports = [_examine(device) for device in devices]
    if len(devices) == 1:
        reports.append(_absent_gpu())
    return Report(_facts(), reports, [row for device in devices for row in self_test(device)])


def _facts() -> list[tuple[str, str]]:
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return [
        ("Python", platform.python_version()),
        ("torch", f"{torch.__version__} ({cuda}), {torch.get_num_threads()} CPU threads"),
        ("C++ compiler", _cxx()),
        ("bfloat16 on the CPU", _bfloat16()),
        ("CUDA compiler", _nvcc()),
    ]


def _cxx() -> str:
    try:
        cxx = find_cxx()
    except Unavailable:
        return "none usable"
    return f"{cxx.name} ({shlex.join(cxx.command)})"


def _bfloat16() -> str:
    found = bfloat16_instructions()
    return f"no: {found.reason}" if isinstance(found, Unavailable) else f"by {found.label}"


def _nvcc() -> str:
    nvcc = find_nvcc()
    return (
        f"nvcc {nvcc.version} ({nvcc.path})"
        if nvcc
        else "no usable nvcc; kernels are compiled with the NVRTC that comes with torch"
    )


def _examine(device: torch.device) -> DeviceReport:
    found = kernels(device.type, device.index, quiet=True)  # the report says the same
    name = f"{torch.cuda.get_device_name(device)}: " if device.type == "cuda" else ""
    if isinstance(found, Unavailable):
        return DeviceReport(str(device), "reference", name + found.reason, found.fix)
    return DeviceReport(str(device), "native", name + found.description, file=found.path)


def _absent_gpu() -> DeviceReport:
    if torch.version.cuda is None:
        return DeviceReport("cuda", "absent", "this torch was built without CUDA", _INSTALL_CUDA_TORCH)
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return DeviceReport("cuda", "absent", "no NVIDIA driver was found (libcuda.so.1)", _INSTALL_DRIVER)
    return DeviceReport("cuda", "absent", "torch finds no GPU, although there is a driver", _LET_TORCH_SEE_IT)
