"""Choice between the native kernels and the reference implementation, and the log message about it."""

import functools
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal, Protocol, get_args

import torch

from morphoscope.configs import UserError
from morphoscope.ops.native.bfloat16 import Instructions, fastest_instructions
from morphoscope.ops.native.cpu_library import CpuLibrary, cpu_library
from morphoscope.ops.native.toolchain import Unavailable

log = logging.getLogger(__name__)

Backend = Literal["auto", "reference", "native"]


class Kernels(Protocol):
    """Loaded kernels for a CPU or a GPU: the built file, and a line on how it was built."""

    path: Path

    @property
    def description(self) -> str: ...


_chosen: ContextVar[Backend | None] = ContextVar("backend", default=None)
_instructions: ContextVar[Instructions | None] = ContextVar("instructions", default=None)
_lock = threading.Lock()
_kernels: dict[str, Kernels | Unavailable] = {}


@contextmanager
def backend(name: Backend) -> Iterator[None]:
    """Choose the implementation of the operations within a `with` block, for the current thread.

    Outside such blocks, the environment variable MORPHOSCOPE_BACKEND chooses. Code that torch.compile has
    compiled keeps the choice that held when it was compiled.

    Args:
        name: "auto", the default, takes the native kernels, or logs a warning and takes the reference
            implementation if they are unavailable; "native" takes the native kernels, and the first operation
            raises `UserError` if they are unavailable; "reference" takes the reference implementation.

    Raises:
        UserError: the name is unknown.
    """
    token = _chosen.set(_known(name, f"Unknown backend '{name}'"))
    try:
        yield
    finally:
        _chosen.reset(token)


def _known(name: str, complaint: str) -> Backend:
    for known in get_args(Backend):
        if isinstance(name, str) and name == known:
            found: Backend = known
            return found
    raise UserError(f"{complaint}; choose one of {', '.join(get_args(Backend))}.")


def current_backend() -> Backend:
    """The choice of the innermost `backend` block, or else of MORPHOSCOPE_BACKEND, or else "auto"."""
    if chosen := _chosen.get():
        return chosen
    name = os.environ.get("MORPHOSCOPE_BACKEND")
    return _known(name, f"MORPHOSCOPE_BACKEND={name}: unknown backend") if name else "auto"


@torch.compiler.assume_constant_result
def reference_chosen() -> bool:
    """Whether the reference implementation must run."""
    return current_backend() == "reference"


@torch.compiler.assume_constant_result
def native_runs(device_type: str, device_index: int | None) -> bool:
    """Whether the native kernels run on this device; the first call for a device builds and loads them.

    Raises:
        UserError: the backend is "native", and the kernels are unavailable.
    """
    chosen = current_backend()
    if chosen == "reference":
        return False
    found = kernels(device_type, device_index)
    if not isinstance(found, Unavailable):
        return True
    if chosen == "native":
        raise UserError(f"Backend 'native' cannot run on {device_type}: {found}.")
    return False


def kernels(device_type: str, device_index: int | None, quiet: bool = False) -> Kernels | Unavailable:
    """The kernels of a device, or why it has none; looked up once, and then logged unless `quiet`.

    Kernels that are found are the usual case, and a debug message only; a build announces itself.
    """
    if device_type == "cuda" and device_index is None:
        device_index = torch.cuda.current_device()
    device = f"cuda:{device_index}" if device_type == "cuda" else device_type
    if device not in _kernels:
        with _lock:  # other threads wait for the build
            if device not in _kernels:
                _kernels[device] = _find(device_type, device_index)
                if not quiet:
                    _log(device, _kernels[device])
    return _kernels[device]


def _find(device_type: str, device_index: int | None) -> Kernels | Unavailable:
    try:
        if device_type == "cpu":
            return cpu_library()
        if device_type == "cuda" and device_index is not None:
            from morphoscope.ops.native.cuda_module import cuda_module

            return cuda_module(device_index)
    except Unavailable as error:
        return error
    return Unavailable(f"no kernels exist for devices of type {device_type}", "use a CPU or a CUDA device")


def _log(device: str, found: Kernels | Unavailable) -> None:
    if isinstance(found, Unavailable):
        log.warning(
            "%s: the native kernels are unavailable: %s. The slower reference implementation runs instead. "
            "What to do: %s.",
            device,
            found.reason,
            found.fix,
        )
    else:
        log.debug("%s: using the native kernels (%s).", device, found.description)


def bfloat16_instructions() -> Instructions | Unavailable:
    """The CPU's instructions for products in bfloat16, or why it has none."""
    chosen = _instructions.get()
    return _bfloat16_of_this_cpu() if chosen is None else chosen


@functools.cache
def _bfloat16_of_this_cpu() -> Instructions | Unavailable:
    library = kernels("cpu", None, quiet=True)
    if not isinstance(library, CpuLibrary):
        return Unavailable("there are no native kernels", "run `morphoscope doctor` to see why")
    try:
        return fastest_instructions(library)
    except Unavailable as error:
        return error


@contextmanager
def bfloat16_by(instructions: Instructions) -> Iterator[None]:
    """Multiply with other instructions than the fastest within a `with` block: an emulation, for tests."""
    token = _instructions.set(instructions)
    try:
        yield
    finally:
        _instructions.reset(token)
