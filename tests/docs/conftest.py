"""The commands of README and guides, in the order in which a reader meets them."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(
        page
        for page in (ROOT / "docs").rglob("*.md")
        if page.name not in ("contributing.md", "changelog.md", "security-policy.md")
    ),
]
_FENCE = re.compile(r"^```(\w*|\{\w+\} ?\S*)\s*$")  # {…}: directives of the site


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        section: the last heading of the second level above it; "" above the first.
        kind: "sh" for commands, "text" for what the block before it prints, "python" …
    """

    page: str
    section: str
    kind: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its command lines, without comments; a backslash at the end continues a line."""
        joined = self.text.replace("\\\n", " ")
        lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line]

    @property
    def refused(self) -> list[str]:
        """Those of the commands that the page shows to be refused: they have the comment "refused"."""
        return [line.partition("#")[0].strip() for line in self.text.splitlines() if "# refused" in line]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    blocks, section, kind, lines = [], "", None, []
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(line)
        if kind is None:
            if line.startswith("## "):
                section = line.removeprefix("## ")
            kind, lines = (fence[1], []) if fence else (None, [])
        elif line == "```":
            text = "".join(f"{each}\n" for each in lines)
            blocks.append(Block(page.relative_to(ROOT).as_posix(), section, kind, text))
            kind = None
        else:
            lines.append(line)
    return blocks


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [command for block in BLOCKS if block.kind == "sh" for command in block.commands]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each command line, and one for each page that has commands or code."""
    if "command" in metafunc.fixturenames:
        metafunc.parametrize("command", list(dict.fromkeys(COMMANDS)))
    if "page" in metafunc.fixturenames:
        pages = dict.fromkeys(block.page for block in BLOCKS if block.kind in ("sh", "python"))
        metafunc.parametrize("page", pages)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> list[Path]:
    return PAGES


@pytest.fixture(scope="session")
def commands() -> list[str]:
    return COMMANDS


@pytest.fixture
def blocks(page: str) -> list[Block]:
    """The blocks of the page under test."""
    return [block for block in BLOCKS if block.page == page]
