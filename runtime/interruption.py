"""Stopping long computations at a point where their state can be saved."""

import signal
import time
from types import FrameType, TracebackType
from typing import Any

# A launcher (torchrun, srun) repeats a signal that the terminal or the scheduler has sent already.
_SAME_REQUEST_SECONDS = 2.0


class Interruption:
    """Context manager that turns the first Ctrl-C or SIGTERM into `requested = True`.

    The loop inside checks `requested` where its state is complete, saves it and ends. A second Ctrl-C, more
    than 2 seconds later, raises KeyboardInterrupt at once. Outside the main thread, where Python allows no
    signal handlers, `requested` stays False.

    Attributes:
        requested: whether a signal has arrived.
    """

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._previous[number] = signal.signal(number, self._request)
            except ValueError:  # not the main thread
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested and number == signal.SIGINT and now - self._since > _SAME_REQUEST_SECONDS:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested, self._since = True, now
