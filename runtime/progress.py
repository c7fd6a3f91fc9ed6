"""Progress of long work on stderr: on a terminal bars that redraw themselves, elsewhere an occasional line.

All work that goes on at the same time shares one display, so that a function may show its progress wherever
it is called from. Work that is done within a second shows nothing.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from morphoscope.runtime import terminal

Item = TypeVar("Item")

_VISIBLE_AFTER = 1.0  # seconds
_RATE_AFTER = 5.0  # seconds since the first step, which is not typical: it builds kernels and fills caches
# Seconds between a display's lines in a log file: soon something, later not too much.
_GAPS = (1.5, 5.0, 15.0, 30.0, 60.0)
_POLL = 0.25  # seconds

# When several processes compute together (torchrun), only the first one shows its progress.
_SHOWS = os.environ.get("RANK", "0") == "0"


class Work:
    """A piece of work whose progress is shown.

    Attributes:
        description: what is being done.
        status: further values to show; may change at any time.
        done, total: steps done and to do; `total` is None while it is unknown.
        unit: what a step is, in the plural, e.g. "images"; with it the rate is shown too.
        display: where it is shown.
    """

    def __init__(self, description: str, total: int | None, unit: str = "", done: int = 0) -> None:
        self.description, self.status, self.unit = description, "", unit
        self.done, self.total = done, total
        self._started = time.monotonic()
        self._first: tuple[float, int] | None = None  # when the first step was done, and steps done then
        self._ended: float | None = None
        self.display: _Display | None = None

    def advance(self, steps: int = 1) -> None:
        """`steps` more are done."""
        self.update(self.done + steps)

    def update(self, done: int) -> None:
        """`done` steps are done altogether."""
        self.done = done
        if self._first is None:
            self._first = (time.monotonic(), done)

    @property
    def rate(self) -> float | None:
        """Steps per second since the first step of this process; None while it is unknown."""
        if self._first is None:
            return None
        since, done = self._first
        elapsed = time.monotonic() - since
        return None if self.done == done or elapsed < _RATE_AFTER else (self.done - done) / elapsed

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at that rate; None while it is unknown."""
        rate = self.rate
        return None if rate is None or self.total is None else max(self.total - self.done, 0) / rate

    def numbers(self) -> str:
        """The state in one line, without the description."""
        unit = f" {self.unit}" if self.unit else ""
        parts = [f"{self.done:,}{unit}" if self.done or self.unit else ""]
        if self.total is not None:
            parts = [f"{self.done:,} of {self.total:,}{unit}"]
        left, rate = self.seconds_left, self.rate
        if self._ended is not None:
            parts.append(f"took {format_duration(self._ended - self._started)}")
        elif left is not None:
            parts.append(f"{format_duration(left)} left")
        if rate is not None and self.unit:
            parts.append(f"{rate:.3g} {self.unit}/s")
        return " · ".join(filter(None, [*parts, self.status]))

    def line(self) -> str:
        """Description and state in one line."""
        numbers = self.numbers()
        return f"{self.description}: {numbers}" if numbers else f"{self.description} …"

    def row(self) -> tuple[RenderableType, ...]:
        """Description, bar and state for a terminal."""
        share = self.done / self.total if self.total else 0.0
        bar = ProgressBar(
            total=self.total, completed=self.done, width=20, pulse=self.total is None and self._ended is None
        )
        percent = "" if self.total is None else f"{share:.0%}"
        return Text(terminal.visible(self.description)), bar, percent, Text(terminal.visible(self.numbers()))

    @property
    def is_visible(self) -> bool:
        return (self._ended or time.monotonic()) - self._started >= _VISIBLE_AFTER

    @property
    def is_running(self) -> bool:
        return self._ended is None

    def end(self) -> None:
        """The work is over, finished or not."""
        self._ended = time.monotonic()

    def say(self) -> None:
        """Where there is no terminal, print the line now."""
        if self.display is not None:
            self.display.say(self)


class _Display:
    """Shows all work in progress on one console.

    Attributes:
        works: what is shown, in the order in which it began.
        users: number of callers who use it; the last one stops it.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.works: list[Work] = []
        self.users = 0
        self._live: Live | None = None
        self._lines, self._due = 0, time.monotonic() + _GAPS[0]
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if not _SHOWS:
            return
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._bars, console=self.console, refresh_per_second=4)
            self._live.start()
        else:
            self._thread = threading.Thread(target=self._say_lines, name="progress", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def begin(self, work: Work) -> None:
        self.users += 1
        self.works.append(work)
        work.display = self

    def end(self, work: Work, transient: bool) -> None:
        """The work is over, finished or not."""
        work.end()
        self.users -= 1
        if self.users == 0 and self._lines:  # a log must not end in the middle
            self.say(work)
        if transient:
            self.works.remove(work)

    def _bars(self) -> RenderableType:
        shown = [work.row() for work in list(self.works) if work.is_visible]
        if not shown:
            return Group()
        terminal.something_shown()
        table = Table.grid(padding=(0, 1))
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for row in shown:
            table.add_row(*row)
        return table

    def _say_lines(self) -> None:
        """In a thread of its own, since a single step may take long."""
        while not self._stopped.wait(_POLL):
            running = [work for work in list(self.works) if work.is_running]
            if running and time.monotonic() >= self._due:
                self.say(*running)

    def say(self, *works: Work) -> None:
        """Where there is no terminal, print one line now; the next one is due later."""
        if self._thread is not None:
            self._lines += 1
            self._due = time.monotonic() + _GAPS[min(self._lines, len(_GAPS) - 1)]
            terminal.say(" | ".join(work.line() for work in works), to=self.console)


_displays: list[_Display] = []
_lock = threading.RLock()


@contextmanager
def working(
    description: str,
    total: int | None = None,
    *,
    unit: str = "",
    done: int = 0,
    to: Console | None = None,
    transient: bool = False,
) -> Iterator[Work]:
    """Show one piece of work while the block lasts; the block reports its steps to the `Work`.

    Args:
        description, total, unit: see `Work`.
        done: steps that an earlier process has done; they do not count for the rate.
        to: the console; by default that of other work in progress, or stderr.
        transient: on a terminal the bar disappears at the end.
    """
    work = Work(description, total, unit, done)
    with _lock:
        if not _displays or to not in (None, _displays[-1].console):
            _displays.append(_Display(to or terminal.console(stderr=True)))
            _displays[-1].start()
        display = _displays[-1]
        display.begin(work)
    try:
        yield work
    finally:
        with _lock:
            display.end(work, transient)
            if display.users == 0:
                _displays.remove(display)
                display.stop()


def track(
    items: Iterable[Item],
    description: str,
    *,
    total: int | None = None,
    unit: str = "",
    to: Console | None = None,
    transient: bool = True,
) -> Iterator[Item]:
    """Yield `items` while a bar shows how many are done; see `working`.

    Args:
        total: number of items, where `items` has no length.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with working(description, total, unit=unit, to=to, transient=transient) as work:
        for item in items:
            yield item
            work.advance()


def format_duration(seconds: float) -> str:
    """Seconds as text, in at most two units: 90,000 -> "1 d 1 h", 42 -> "42 s"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
