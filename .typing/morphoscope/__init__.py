"""Morphoscope: its rooms are `ops`, `cohort`, `generate`, `classify`, `apps`, `configs` and `runtime`.

Attributes:
    __version__: of the installed distribution, looked up when it is asked for.
"""


def __getattr__(name: str) -> str:
    if name == "__version__":
        from morphoscope.runtime.version import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
