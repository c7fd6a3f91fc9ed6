"""Stopping long work politely."""

import signal
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """Context manager that turns the first Ctrl-C or SIGTERM into `requested = True`.

    The loop inside looks at `requested` where its state is whole, saves and leaves. A second Ctrl-C
    stops at once. Outside the main thread, where Python allows no handlers, it never fires.
    """

    def __init__(self) -> None:
        self.requested = False
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
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
