"""Products in bfloat16 in the 3x3 convolutions on a CPU, and operations that ignore autocast."""

import functools
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import get_args

import torch

from morphoscope.configs import UserError, arguments
from morphoscope.configs.precision import ConvolutionPrecision
from morphoscope.ops.dispatch import bfloat16_instructions, reference_chosen
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.native.toolchain import Unavailable

log = logging.getLogger(__name__)

_REFERENCE = Unavailable("the reference implementation was chosen", "choose the backend auto or native")
_requested: ContextVar[ConvolutionPrecision] = ContextVar("precision", default="float32")


@contextmanager
def convolutions_in(precision: ConvolutionPrecision) -> Iterator[None]:
    """Choose the precision of the products in 3x3 convolutions on a CPU within a `with` block.

    With "bfloat16", the operands of these products are rounded to 8 significant bits; sums, results and
    everything else stay float32. A CPU that lacks AVX512-BF16 computes in float32, as does the reference
    implementation, and one warning says so. Nothing changes on a GPU, or for tensors of another dtype than
    float32.

    Raises:
        UserError: the precision is unknown.
    """
    arguments.one_of("precision", precision, get_args(ConvolutionPrecision))
    token = _requested.set(precision)
    try:
        yield
    finally:
        _requested.reset(token)


def check_precision(precision: ConvolutionPrecision, device: torch.device) -> None:
    """Raise UserError for an unknown precision, or bfloat16 on a GPU, where the networks choose."""
    if (
        arguments.one_of("precision", precision, get_args(ConvolutionPrecision)) == "bfloat16"
        and device.type != "cpu"
    ):
        raise UserError(
            f"precision=bfloat16 is for a CPU, and this runs on {device}. There num_fp16_res and half_dtype, "
            "with which a generator is trained, choose the precision; leave out precision."
        )


@torch.compiler.assume_constant_result
def bfloat16_chosen() -> int | None:
    """By what 3x3 convolutions in float32 on a CPU now multiply in bfloat16, a value of `Instructions`.

    None if they multiply in float32: bfloat16 was not requested, the CPU lacks the instructions, or the
    reference implementation was chosen. CPU autocast to bfloat16 is such a request too.
    """
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    if not autocast and _requested.get() == "float32":
        return None
    found = _REFERENCE if reference_chosen() else bfloat16_instructions()
    _announce(found)
    return None if isinstance(found, Unavailable) else int(found)


def bfloat16_runs() -> bool:
    """Whether 3x3 convolutions in float32 on a CPU now multiply in bfloat16."""
    return bfloat16_chosen() is not None


@functools.cache
def _announce(found: Instructions | Unavailable) -> None:
    """Log once what a request for bfloat16 leads to."""
    if isinstance(found, Unavailable):
        log.warning(
            "cpu: bfloat16 was requested, but %s. The convolutions compute in float32 instead, at its speed. "
            "What to do: %s.",
            found.reason,
            found.fix,
        )
    else:
        log.info("cpu: 3x3 convolutions multiply in bfloat16 (%s).", found.label)


def own_precision(x: torch.Tensor) -> AbstractContextManager[object]:
    """Turn autocast off within the block, so that resampling and activations compute in the dtype of x."""
    if torch.amp.is_autocast_available(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


@contextmanager
def autocast_of_convolutions(device_type: str) -> Iterator[None]:
    """On a CPU, let autocast apply to the 3x3 convolutions only; styles and colours keep their precision."""
    if device_type != "cpu" or not torch.is_autocast_enabled("cpu"):
        yield
        return
    with convolutions_in("bfloat16" if bfloat16_runs() else "float32"), torch.autocast("cpu", enabled=False):
        yield
