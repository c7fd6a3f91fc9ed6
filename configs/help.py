"""What a schema says of its fields, as text for people: type, default, range and meaning."""

from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from morphoscope.configs.schema import SchemaField

_NAMES = {
    int: "integer",
    float: "number",
    str: "text",
    Path: "file",
    dict: "mapping",
    NoneType: "null",
}

# Defaults that mean "derived" or "all": a field's description says which.
_OPEN = ("null", "[]", "{}")


def type_text(info: FieldInfo) -> str:
    """E.g. "integer", "crop or letterbox", "number or null"."""
    return _listed(_alternatives(info.annotation))


def range_text(info: FieldInfo) -> str:
    """E.g. "1 to 10000", "at least 0, below 1", or "" for a field without bounds."""
    low: str | None = None
    high: str | None = None
    for bound in info.metadata:
        if isinstance(bound, Ge):
            low = f"at least {_number(bound.ge)}"
        elif isinstance(bound, Gt):
            low = f"above {_number(bound.gt)}"
        elif isinstance(bound, Le):
            high = f"at most {_number(bound.le)}"
        elif isinstance(bound, Lt) and info.annotation is int:
            high = f"at most {_number(int(str(bound.lt)) - 1)}"
        elif isinstance(bound, Lt):
            high = f"below {_number(bound.lt)}"
    if low and high and low.startswith("at least") and high.startswith("at most"):
        return f"{low.removeprefix('at least ')} to {high.removeprefix('at most ')}"
    return ", ".join(part for part in (low, high) if part)


def default_text(info: FieldInfo) -> str:
    """The default as `--set` would take it, e.g. "0.7", "null" or "[]"; "" for a field that has none."""
    return "" if info.is_required() else _value(info.default)


def meaning(info: FieldInfo) -> str:
    """The field's description as the beginning of a sentence, without a full stop."""
    text = info.description or ""
    return text[:1].upper() + text[1:]


def help_text(field: SchemaField, *, preset: bool = False, note: str = "") -> str:
    """The help of an option for a field: "Images per condition (1 to 10000; default: 8)."

    Args:
        preset: whether a preset may set another default.
        note: a fact about the option itself, e.g. "repeatable".
    """
    default = default_text(field.info)
    if preset and default not in _OPEN:
        default = f"{default}, or the preset's" if default else "the preset's"
    shown = f"default: {default}" if default and default not in _OPEN else ""
    facts = "; ".join(filter(None, [note, range_text(field.info), shown]))
    return meaning(field.info) + (f" ({facts})." if facts else ".")


def _alternatives(annotation: Any) -> list[str]:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return [str(part) for part in parts]
    if origin in (Union, UnionType):
        return [name for part in parts for name in _alternatives(part)]
    if annotation is bool:
        return ["true", "false"]
    if origin is list:
        return [f"list of {_listed(_alternatives(parts[0]))}"]
    if hasattr(annotation, "__metadata__"):
        return _alternatives(parts[0])
    return [_NAMES[origin or annotation]]


def _listed(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _number(value)
