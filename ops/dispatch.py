"""Which execution of the operations runs, and the word about it."""

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
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.toolchain import Unavailable

log = logging.getLogger(__name__)

Backend = Literal["auto", "reference", "native"]


class Kernels(Protocol):
    """Loaded kernels, of either kind: the built file, and a line on how it was built."""

    path: Path

    @property
    def description(self) -> str: ...


_chosen: ContextVar[Backend | None] = ContextVar("backend", default=None)
_lock = threading.Lock()
_kernels: dict[str, Kernels | Unavailable] = {}


@contextmanager
def backend(name: Backend) -> Iterator[None]:
    """Choose an execution within a `with` block, for the present thread.

    "auto", the default, takes the native kernels, or the reference with a warning where they cannot be had;
    "native" takes them or raises `UserError` at the first operation; "reference" takes the plain twins.
    Outside such blocks the environment variable MORPHOSCOPE_BACKEND chooses. What torch.compile has compiled
    keeps the choice of that moment.

    Raises:
        UserError: an unknown name.
    """
    token = _chosen.set(_known(name, f"Unknown backend '{name}'"))
    try:
        yield
    finally:
        _chosen.reset(token)


def _known(name: str, complaint: str) -> Backend:
    for known in get_args(Backend):
        if name == known:
            found: Backend = known
            return found
    raise UserError(f"{complaint}; choose one of {', '.join(get_args(Backend))}.")


def current_backend() -> Backend:
    """What the innermost `backend` block says, or else MORPHOSCOPE_BACKEND, or else "auto"."""
    if chosen := _chosen.get():
        return chosen
    name = os.environ.get("MORPHOSCOPE_BACKEND")
    return _known(name, f"MORPHOSCOPE_BACKEND={name}: unknown backend") if name else "auto"


def reference_chosen() -> bool:
    """Whether the plain reference twins must run."""
    return current_backend() == "reference"


@torch.compiler.assume_constant_result
def native_runs(device_type: str, device_index: int | None) -> bool:
    """Whether the native kernels are to run on this device; the first time they are built or loaded.

    Raises:
        UserError: backend "native", and they cannot be had.
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
    """The kernels of a device, or why there are none: found out, and logged if not `quiet`, once."""
    if device_type == "cuda" and device_index is None:
        device_index = torch.cuda.current_device()
    device = f"cuda:{device_index}" if device_type == "cuda" else device_type
    if device not in _kernels:
        with _lock:  # the other threads wait for the build
            if device not in _kernels:
                _kernels[device] = _find(device_type, device_index)
                if not quiet:
                    _tell(device, _kernels[device])
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
    return Unavailable(f"there are none for devices of type {device_type}", "use a CPU or a CUDA device")


def _tell(device: str, found: Kernels | Unavailable) -> None:
    if isinstance(found, Unavailable):
        log.warning(
            "%s: the plain reference runs, which is slower: %s. For the native kernels: %s.",
            device,
            found.reason,
            found.remedy,
        )
    else:
        log.info("%s: native kernels (%s).", device, found.description)
