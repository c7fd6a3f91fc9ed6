"""Checks of arguments: a value in its proper form, or a UserError that says what is taken and what came.

Public functions call these before they work. Neither numpy nor torch is imported here; arrays and tensors are
recognised by their shape and dtype.
"""

import math
import numbers
import operator
import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from morphoscope.configs.errors import UserError

Value = TypeVar("Value")

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def described(value: object) -> str:
    """What a value is, for a message: "None", "str 'x.jpg'", "ndarray float32 [3, 4]"."""
    if value is None or isinstance(value, bool):
        return str(value)
    kind, shape, dtype = type(value).__name__, getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None and not isinstance(value, numbers.Number):
        return f"{kind} {str(dtype).removeprefix('torch.')} {list(shape)}"
    if isinstance(value, str | bytes | numbers.Number | Mapping | Sequence | os.PathLike):
        return f"{kind} {_SHORT.repr(value)}"
    return kind


def refuse(name: str, takes: str, value: object) -> NoReturn:
    """Raise the UserError: argument `name` takes …, not `value`."""
    raise UserError(f"{name} takes {takes}, not {described(value)}.")


def instance(name: str, value: Value, kind: type[Any], takes: str) -> Value:
    """`value`, if it is of this type."""
    if not isinstance(value, kind):
        refuse(name, takes, value)
    return value


def flag(name: str, value: object) -> bool:
    """A truth value; not a number or a text, which may mean anything."""
    if type(value).__name__ not in ("bool", "bool_"):  # numpy's is not a subclass
        refuse(name, "True or False", value)
    return bool(value)


def whole_number(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """An integer from `low` to `high`; not a float or a truth value."""
    takes = f"a whole number{_range(low, high)}"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        refuse(name, takes, value)
    try:
        number = operator.index(value)
    except (TypeError, RuntimeError):  # an array or a tensor with several elements, or with fractions
        refuse(name, takes, value)
    if not _within(number, low, high):
        refuse(name, takes, value)
    return number


def real_number(name: str, value: Any, low: float | None = None, high: float | None = None) -> float:
    """A finite number from `low` to `high`; not a truth value or a text."""
    takes = f"a number{_range(low, high)}"
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
        refuse(name, takes, value)
    try:
        number = float(value)
    except OverflowError:
        refuse(name, takes, value)
    if not math.isfinite(number) or not _within(number, low, high):
        refuse(name, takes, value)
    return number


def text(name: str, value: Any) -> str:
    """A text."""
    return str(instance(name, value, str, "a text"))


def one_of(name: str, value: Any, options: Iterable[str]) -> str:
    """One of several names."""
    options = list(options)
    if not isinstance(value, str) or value not in options:
        refuse(name, f"one of {', '.join(options)}", value)
    return value


def path(name: str, value: Any, takes: str = "a path") -> Path:
    """A path, given as one or as a text."""
    if not isinstance(value, str | os.PathLike) or "\0" in (given := os.fspath(value)) or not given:
        refuse(name, takes, value)
    return Path(value)


def listed(name: str, value: Any, kind: type[Any], takes: str) -> list[Any]:
    """The elements of a list, tuple, array or the like, all of one type; a single text is no list."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        refuse(name, takes, value)
    if getattr(value, "ndim", 1) == 0:  # an array of no axis claims to be iterable
        refuse(name, takes, value)
    found = list(value)
    for element in found:
        if not isinstance(element, kind):
            raise UserError(f"{name} takes {takes}; one element is {described(element)}.")
    return found


def _within(number: float, low: float | None, high: float | None) -> bool:
    return (low is None or number >= low) and (high is None or number <= high)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" of at most {high:g}"
    return f" of at least {low:g}" if high is None else f" from {low:.12g} to {high:.12g}"
