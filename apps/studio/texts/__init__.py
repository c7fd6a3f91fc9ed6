"""All sentences of the studio, in one catalogue for each language; English is the only one so far."""

import json
from functools import cache
from importlib import resources

_LANGUAGE = "en"


def text(key: str, **values: object) -> str:
    """A sentence of the catalogue with its values filled in: plain text, which HTML must escape.

    Args:
        key: its name there, e.g. "morph.undo".
        values: by the names in its braces.
    """
    return catalogue()[key].format(**values)


def section(name: str) -> dict[str, str]:
    """The sentences whose keys begin with `name` and a dot, by the rest of their keys, for a script."""
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in catalogue().items() if key.startswith(start)}


@cache
def catalogue() -> dict[str, str]:
    """Every sentence, by its key."""
    file = resources.files(__package__) / f"{_LANGUAGE}.json"
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found
