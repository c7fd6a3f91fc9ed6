"""Checks of the tensors and numbers that operations take; cheap enough for every call."""

from collections.abc import Sequence
from typing import Any

import torch

from morphoscope.configs.arguments import real_number, refuse

FLOATING = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Dtypes for which there are kernels."""

_FLOATING = "float32, float64, float16 or bfloat16"


def check_images(name: str, x: Any) -> None:
    """Raise UserError unless x is a tensor [N, C, H, W] with channels and pixels, of a dtype with kernels."""
    if not isinstance(x, torch.Tensor):
        refuse(name, f"a tensor [N, C, H, W] of {_FLOATING}", x)
    if x.ndim != 4 or 0 in x.shape[1:]:
        refuse(name, "[N, C, H, W] with channels and pixels", x)
    check_floating(name, x)


def check_floating(name: str, x: Any) -> None:
    """Raise UserError unless x is a tensor of a dtype with kernels."""
    if not isinstance(x, torch.Tensor) or x.dtype not in FLOATING:
        refuse(name, f"a tensor of {_FLOATING}", x)


def check_beside(name: str, value: Any, x: torch.Tensor, shape: str, *axes: int) -> None:
    """Raise UserError unless `value` is None or a floating-point tensor on the device of x with these axes.

    Args:
        shape: of `value`, for the message.
        axes: numbers of axes that are allowed.
    """
    if value is None:
        return
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.ndim not in axes:
        refuse(name, f"a floating-point tensor {shape}", value)
    if value.device != x.device:
        refuse(name, f"a tensor on {x.device}, where the images are", value.device)


def check_integers(name: str, value: Any, counts: tuple[int, ...], takes: str) -> Sequence[Any]:
    """One integer as (it,), or a sequence of as many integers as one of `counts`."""
    if isinstance(value, int | torch.SymInt) and not isinstance(value, bool):
        return (value,)
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not is_sequence or len(value) not in counts:
        refuse(name, takes, value)
    if not all(isinstance(each, int | torch.SymInt) and not isinstance(each, bool) for each in value):
        refuse(name, takes, value)
    return value


def optional_number(name: str, value: Any, default: float) -> float:
    """A finite number; `default` for None."""
    return default if value is None else real_number(name, value)
