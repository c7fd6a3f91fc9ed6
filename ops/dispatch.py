"""Which execution of the operations runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

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
    if name == "native":
        raise UserError("This version has no native kernels; use backend 'auto' or 'reference'.")
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def reference_chosen() -> bool:
    """Whether the plain reference twins must run."""
    return _chosen.get() == "reference"
