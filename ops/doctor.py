"""What runs where on this machine, whether it computes what its reference twin does, and what is missing."""

import ctypes
import platform
import shlex
from dataclasses import dataclass
from pathlib import Path

import torch

from morphoscope.ops.dispatch import kernels
from morphoscope.ops.native.toolchain import Unavailable, find_cxx, find_nvcc
from morphoscope.ops.self_test import OpReport, self_test

_INSTALL_CUDA_TORCH = "to use an NVIDIA GPU, install a build of torch with CUDA"
_INSTALL_DRIVER = "if this machine has an NVIDIA GPU, install its driver"
_LET_TORCH_SEE_IT = "see what `nvidia-smi` says, and whether CUDA_VISIBLE_DEVICES hides the GPU"


@dataclass(frozen=True)
class DeviceReport:
    """The kernels of one device.

    Attributes:
        path: "native" or "reference"; "absent" for a device that torch cannot use.
        detail: what native kernels were built with and for; otherwise the reason.
        remedy: what to do about it, if anything; file: the library that was built.
    """

    device: str
    path: str
    detail: str
    remedy: str | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Report:
    """Versions and tools as (name, value) pairs, one line a device, and one an operation and device."""

    facts: list[tuple[str, str]]
    devices: list[DeviceReport]
    ops: list[OpReport]


def doctor() -> Report:
    """Look at this machine, build its kernels if that has not been done, and test every operation."""
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
        ("CUDA compiler", _nvcc()),
    ]


def _cxx() -> str:
    try:
        cxx = find_cxx()
    except Unavailable:
        return "none that serves"
    return f"{cxx.name} ({shlex.join(cxx.command)})"


def _nvcc() -> str:
    nvcc = find_nvcc()
    return (
        f"nvcc {nvcc.version} ({nvcc.path})"
        if nvcc
        else "no usable nvcc; the NVRTC that torch brings compiles"
    )


def _examine(device: torch.device) -> DeviceReport:
    found = kernels(device.type, device.index, quiet=True)  # the report tells it
    name = f"{torch.cuda.get_device_name(device)}: " if device.type == "cuda" else ""
    if isinstance(found, Unavailable):
        return DeviceReport(str(device), "reference", name + found.reason, found.remedy)
    return DeviceReport(str(device), "native", name + found.description, file=found.path)


def _absent_gpu() -> DeviceReport:
    if torch.version.cuda is None:
        return DeviceReport("cuda", "absent", "this torch was built without CUDA", _INSTALL_CUDA_TORCH)
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return DeviceReport("cuda", "absent", "no NVIDIA driver was found (libcuda.so.1)", _INSTALL_DRIVER)
    return DeviceReport("cuda", "absent", "the driver offers torch no GPU", _LET_TORCH_SEE_IT)
