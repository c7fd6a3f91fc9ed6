"""Packages that only some installations have: the extras of pyproject.toml."""

import importlib
from types import ModuleType

from morphoscope.configs import UserError


def extra_package(name: str, extra: str, what: str) -> ModuleType:
    """Import a package of an extra.

    Args:
        what: needs it, for the message, e.g. "ONNX".

    Raises:
        UserError: it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{what} needs the package {name}: pip install 'morphoscope[{extra}]'.") from error
