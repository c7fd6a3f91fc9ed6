"""The terminal: plain lines, tables and progress bars, in which users' names appear as they are.

Rich reads square brackets as markup and words between colons as emoji, so that conditions named "NF1 [mild]"
and "NF1 [severe]" would both appear as "NF1". Nothing here is markup, and lines do not wrap: a path can be
copied whole. Characters that steer a terminal (escape sequences, line breaks in a cell, changes of writing
direction) appear as escapes.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Item = TypeVar("Item")
# C0 and C1 controls, surrogates of undecodable file names, and Unicode's directional controls.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_UNBOUNDED = 100_000  # columns


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
    target = Console(markup=False, emoji=False, highlight=False)
    if not target.is_terminal:  # a file or a pipe has no edge, and a row of a table stays one line
        unbounded = target.options.update(max_width=_UNBOUNDED)
        target.width = max(target.width, target.measure(renderable, options=unbounded).maximum)
    target.print(renderable)


def progress(*, to: Console | None = None, transient: bool = False) -> Progress:
    """Progress bars on stderr: description, bar, percentage, time left.

    Args:
        transient: the bars disappear when the work is done; where there is no terminal they do not appear.
    """
    target = to or console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=target,
        transient=transient,
        disable=transient and not target.is_terminal,
    )


def track(
    items: Iterable[Item],
    description: str,
    *,
    total: int | None = None,
    to: Console | None = None,
    transient: bool = False,
) -> Iterable[Item]:
    """Yield `items` while a progress bar shows how many are done."""
    with progress(to=to, transient=transient) as bars:
        yield from bars.track(items, total=total, description=visible(description))
