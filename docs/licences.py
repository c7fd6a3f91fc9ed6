"""Writes the table of docs/licences.md from the metadata of what is installed: python docs/licences.py."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
MARK = "<!-- The table below is written by docs/licences.py. -->\n"
UNKNOWN = "unknown"
_ONE_LINE = 60  # characters; a longer field is the whole text of a licence
_NO_LICENCE = {"", "UNKNOWN"}


def licence_of(package: Distribution) -> str:
    """What a package states: an SPDX expression, a short field, classifiers, or its licence file's title."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    field = (metadata.get("License") or "").strip()
    if field not in _NO_LICENCE and len(field) <= _ONE_LINE and "\n" not in field:
        return field
    classifiers = [text for text in metadata.get_all("Classifier") or [] if text.startswith("License ::")]
    if classifiers:
        return ", ".join(text.rpartition(" :: ")[2] for text in classifiers)
    return next(_titles(package), UNKNOWN)


def _titles(package: Distribution) -> Iterator[str]:
    """First lines of its licence files."""
    for file in package.files or []:
        if re.match(r"licen[cs]e|copying", file.name, re.IGNORECASE):
            yield from [line.strip() for line in file.read_text().splitlines() if line.strip()][:1]


def pinned() -> dict[str, str]:
    """{name: version} of constraints.txt, in its order."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def direct() -> dict[str, list[str]]:
    """{canonical name: what needs it, "program" or the name of an extra} from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"program": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, list[str]] = {}
    for group, texts in groups.items():
        for text in texts:
            found.setdefault(canonicalize_name(Requirement(text).name), []).append(group)
    return found


def table() -> str:
    """Markdown: every package in constraints.txt, its version and licence, and what needs it."""
    needed = direct()
    rows = [
        (name, version, licence_of(distribution(name)), ", ".join(needed.get(canonicalize_name(name), ["–"])))
        for name, version in pinned().items()
    ]
    lines = ["| package | version | licence | needed by |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def main() -> None:
    """Replace the table in the page."""
    prose = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{prose}{MARK}\n{table()}", encoding="utf-8")


if __name__ == "__main__":
    main()
