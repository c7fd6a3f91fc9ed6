"""The terminal: plain lines and tables, in which users' names appear as they are.

Rich reads square brackets as markup and words between colons as emoji, so that conditions named "NF1 [mild]"
and "NF1 [severe]" would both appear as "NF1". Nothing here is markup, and lines do not wrap: a path can be
copied whole. Characters that steer a terminal (escape sequences, line breaks in a cell, changes of writing
direction) appear as escapes.
"""

import re
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.table import Table

# C0 and C1 controls, surrogates of undecodable file names, Unicode's line breaks and directional controls,
# and marks that nobody sees, except the joiners that some scripts and emoji need.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)

_UNBOUNDED = 100_000  # columns

_shown = threading.Event()


def visible(text: str, keep: str = "") -> str:
    """`text` with each character that steers a terminal, unless in `keep`, written as \\x1b or \\u202e."""
    return _STEERING.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, emoji, highlighting or wrapping."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


def say(text: str, *, stderr: bool = False, to: Console | None = None) -> None:
    """Print one or more lines.

    Args:
        to: print on this console, e.g. the one of a progress bar, so that the lines appear above the bar.
    """
    something_shown()
    target = to or console(stderr=stderr)
    target.print(visible(text, keep="\n\t"), markup=False, emoji=False, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of text with a heading for each column; long cells continue on the next line, none is cut."""
    result = Table()
    for column in columns:
        result.add_column(visible(column), overflow="fold")
    for row in rows:
        result.add_row(*map(visible, row))
    return result


def show(renderable: RenderableType) -> None:
    """Print a table on stdout, as wide as it is unless a terminal is narrower."""
    something_shown()
    target = Console(markup=False, emoji=False, highlight=False)
    if not target.is_terminal:  # a file or a pipe has no edge, and a row of a table stays one line
        unbounded = target.options.update(max_width=_UNBOUNDED)
        target.width = max(target.width, target.measure(renderable, options=unbounded).maximum)
    target.print(renderable)


def something_shown() -> None:
    """The user has seen a sign of life, so that `sign_of_life` need not give one."""
    _shown.set()


@contextmanager
def sign_of_life(text: str, after: float = 1.0) -> Iterator[None]:
    """Print `text` on stderr if it is a terminal and nothing else is shown within `after` seconds.

    Before a command has anything to say, it may load libraries for several seconds.
    """
    if not sys.stderr.isatty():
        yield
        return
    _shown.clear()

    def wait() -> None:
        if not _shown.wait(after):
            say(text, stderr=True)

    threading.Thread(target=wait, name="sign of life", daemon=True).start()
    try:
        yield
    finally:
        something_shown()
