"""Limits that a reader must keep to: seconds by an alarm, memory by a measurement."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooSlow(BaseException):
    """A reader took longer than it may; not an Exception, so that no reader takes it for damaged data."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the main thread after `seconds`; a call into C code ends first.

    The limit is far above what is normal: it tells waiting for ever from working, and is no measurement.
    """

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
