"""How many requests are computed, or wait for it, at once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_IN_ALL, _PER_PAGE = 32, 4


class Room:
    """Bounds the requests of a page of a browser, and those of all together; safe for several threads."""

    def __init__(self) -> None:
        self._at_once = Counter[str]()
        self._lock = Lock()

    @contextmanager
    def place(self, page: str) -> Iterator[bool]:
        """Whether there is a place for a request of this page; it is held for the block."""
        with self._lock:
            found = self._at_once[page] < _PER_PAGE and self._at_once.total() < _IN_ALL
            self._at_once[page] += found
        try:
            yield found
        finally:
            with self._lock:
                self._at_once[page] -= found
                if not self._at_once[page]:
                    del self._at_once[page]
