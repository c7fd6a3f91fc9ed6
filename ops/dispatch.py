"""Which execution of the operations runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

import torch

from morphoscope.configs import UserError

Backend = Literal["auto", "reference", "native"]

_chosen: ContextVar[Backend] = ContextVar("backend", default="auto")


@contextmanager
def backend(name: Backend) -> Iterator[None]:
    """Choose an execution within a `with` block: "auto" the fastest there is, "reference" the plain twins.

    Raises:
        UserError: an unknown name, or "native", for which this version has no kernels.
    """
    if name not in get_args(Backend):
        raise UserError(f"Unknown backend '{name}'; choose one of {', '.join(get_args(Backend))}.")
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def reference_chosen() -> bool:
    """Whether the plain reference twins must run."""
    return _chosen.get() == "reference"


@torch.compiler.assume_constant_result
def native_runs(device_type: str, device_index: int | None) -> bool:
    """Whether the native kernels are to run on this device."""
    return not reference_chosen() and device_type == "cpu"
