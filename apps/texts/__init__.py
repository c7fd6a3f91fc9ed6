"""The sentences of predictions and of the studio, in one catalogue for each language; so far in English."""

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


def texts(*sections: str) -> dict[str, str]:
    """The sentences of some sections, the words before the first dot of a key: those that a script needs."""
    return {key: value for key, value in catalogue().items() if key.partition(".")[0] in sections}


@cache
def catalogue() -> dict[str, str]:
    """Every sentence, by its key."""
    file = resources.files(__package__) / f"{_LANGUAGE}.json"
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found
