"""The version of the installed distribution."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _version_of


def version() -> str:
    """As pyproject.toml has it; "not installed" for a source tree that was not installed."""
    try:
        return _version_of("morphoscope")
    except PackageNotFoundError:
        return "not installed"
