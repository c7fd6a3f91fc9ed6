"""Stopping long computations at a point where their state can be saved."""

import _thread
import signal
import time
from types import FrameType, TracebackType
from typing import Any

from morphoscope.runtime.terminal import say

# A launcher (torchrun, srun) repeats a signal that the terminal or the scheduler has sent already.
_SAME_REQUEST_SECONDS = 2.0


class Interruption:
    """Context manager that turns the first Ctrl-C or SIGTERM into `requested = True`.

    The loop inside checks `requested` where its state is complete, saves it and ends; until then the user
    sees `message`. A second Ctrl-C, more than 2 seconds later, raises KeyboardInterrupt at once. Outside the
    main thread, where Python allows no signal handlers, `requested` stays False.

    Args:
        message: what happens now, e.g. "Stopping after this iteration, saving …"; printed on stderr.

    Attributes:
        requested: whether a signal has arrived.
    """

    def __init__(self, message: str) -> None:
        self.requested = False
        self._message = message
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
            # In a thread: this handler may have interrupted the main thread while it was printing. Not by
            # threading.Thread, since the handler may also have interrupted the start of one.
            _thread.start_new_thread(self._announce, ())

    def _announce(self) -> None:
        say(f"{self._message} (Ctrl-C again stops at once)", stderr=True)
