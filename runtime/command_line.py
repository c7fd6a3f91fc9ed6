"""The command line as it is recorded beside results, without the places of other people's files."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

# How a path begins, or what it has in it, that may lead out of the working folder.
_LEADS_OUT = re.compile(r"/|~|[A-Za-z]:[/\\]|\\\\|(?:.*/)?\.\.(?:/|$)")


def recorded_command(words: Sequence[str], private: Mapping[str, str] | None = None) -> str:
    """The words of a command line, joined.

    A path stays as it was typed only if it is relative and inside the working folder. Inside but absolute it
    becomes relative; of any other only the last part is kept: its folders may name a user or a patient. So
    does a path behind "=", as in `--run=/home/doe/run`.

    Args:
        private: {word: what is recorded in its place}, for words that may name a patient; also of paths that
            were typed in another form, and behind the "=" of an option.
    """
    return " ".join(_recorded(_public(word, private or {})) for word in words)


def _public(word: str, private: Mapping[str, str]) -> str:
    flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    found = private.get(value) or private.get(str(Path(value)))
    return word if found is None else f"{flag}{equals}{found}"


def _recorded(word: str) -> str:
    start, equals, value = ("", "", word) if _LEADS_OUT.match(word) else word.rpartition("=")
    if not _LEADS_OUT.match(value):
        return word
    if "\\" in value:  # of Windows
        return start + equals + re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    here = Path.cwd()
    place = Path(os.path.normpath(here / os.path.expanduser(value)))  # noqa: PTH111 (raises for no user)
    inside = place.is_relative_to(here)
    return start + equals + (place.relative_to(here).as_posix() if inside else place.name or "/")
