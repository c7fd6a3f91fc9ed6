"""Names of conditions and patients from tables and folders: one normal form, one list for "unknown"."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import pandas as pd

# What tables contain where there is no value, in any case: by hand, from spreadsheets, pandas or R.
UNKNOWN = frozenset({"", "-", "?", "#n/a", "<na>", "n.a.", "n/a", "na", "nan", "nat", "none", "null"})
# As a patient these mean that the patient is unknown; as a condition they are a label or a class number.
UNKNOWN_PATIENT = UNKNOWN | {"-1", "unknown"}

_MAX_LENGTH = 200  # of a condition's name, characters
_JOINERS = "\u200c\u200d"
_BLANKS = re.compile(r"[^\S\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")  # any white space that breaks no line
_WHOLE_NUMBER = re.compile(r"(-?[0-9]+)\.0+")


def normalise_name(text: str) -> str:
    """The one form of a name: Unicode NFC, single blanks between words and none around, `10` for `10.0`.

    Spreadsheets and pandas write whole numbers as `10.0` once a cell of their column is empty.
    """
    words = _BLANKS.sub(" ", unicodedata.normalize("NFC", text)).strip()
    number = _WHOLE_NUMBER.fullmatch(words)
    return number[1] if number else words


def known_name(text: str, unknown: frozenset[str] = UNKNOWN) -> str:
    """The normalised name; "" where it is a word for "unknown"."""
    name = normalise_name(text)
    return "" if name.lower() in unknown else name


def known_names(cells: pd.Series, unknown: frozenset[str] = UNKNOWN) -> pd.Series:
    """`known_name` of each cell."""
    return cells.map(lambda cell: known_name(cell, unknown))


def name_key(text: str) -> str:
    """Equal for names that people take for the same: other case, other Unicode form, invisible characters."""
    plain = unicodedata.normalize("NFKC", normalise_name(text))
    visible = "".join(character for character in plain if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", visible.casefold())


def require_usable_names(names: Iterable[str]) -> None:
    """Raise ValueError for a name that `name_objection` objects to, with that name and the reason."""
    for name in names:
        if reason := name_objection(name):
            raise ValueError(f"{name[:40]!r} {reason}")


def name_objection(name: str) -> str | None:
    """Why `name` cannot be that of a condition; None if it can.

    A name stands on terminals, pages and images, beside others. It needs at least one visible character and
    at most 200 in all, none of which breaks the line, controls a terminal, changes the direction of writing
    or is invisible. The joiners that some scripts and emoji need are allowed.
    """
    if len(name) > _MAX_LENGTH:
        return f"is longer than {_MAX_LENGTH} characters"
    categories = [unicodedata.category(character) for character in name if character not in _JOINERS]
    if not {"Cc", "Cs", "Zl", "Zp"}.isdisjoint(categories):
        return "has a line break, a control character or a surrogate"
    if not any(category[0] in "LNPS" for category in categories):
        return "is empty or blank"
    return "has an invisible character" if "Cf" in categories else None


def similar_names(names: Iterable[str]) -> list[list[str]]:
    """The names that people could take for each other, sorted, in lists of two or more."""
    by_key: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        by_key.setdefault(name_key(name), []).append(name)
    return [alike for alike in by_key.values() if len(alike) > 1]


def difference(names: Sequence[str]) -> str:
    """In what similar names differ, for a message."""
    composed = {unicodedata.normalize("NFC", name) for name in names}
    if len(composed) == 1:
        return "in their Unicode form (NFC or NFD)"
    if len({name.casefold() for name in names}) == 1:
        return "in case"
    return "in case, blanks, invisible characters or Unicode form"
