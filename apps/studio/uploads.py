"""Photographs on their way from the browser to the classifier: in memory only, each for one request."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from morphoscope.apps.texts import text
from morphoscope.configs import UserError

MAX_BYTES = 32 * 2**20
_PER_PAGE = 2
_WAITING = 8  # times MAX_BYTES is the most memory that uploads can take
_SECONDS = 60  # until an upload that no request asked for is dropped
_REFUSED = ("too-large", "too-many")  # in place of a token


@dataclass
class Upload:
    """A file from a browser: its own name, cleaned, and its content."""

    name: str
    data: bytes = b""


@dataclass
class _Slot:
    page: str
    since: float
    upload: Upload | None = None


class Uploads:
    """The uploads that wait for their request; each is taken once, by the token that its sender got.

    Safe to use from several threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._slots: dict[str, _Slot] = {}
        self._lock = Lock()

    @contextmanager
    def room(self, page: str) -> Iterator[str | None]:
        """A token for an upload from this page of a browser; None if too many are waiting.

        The room is given back at the end of the block unless `put` has filled it.
        """
        with self._lock:
            self._drop_old()
            of_page = sum(slot.page == page for slot in self._slots.values())
            token = None if of_page >= _PER_PAGE or len(self._slots) >= _WAITING else secrets.token_urlsafe()
            if token is not None:
                self._slots[token] = _Slot(page, self.clock())
        try:
            yield token
        finally:
            with self._lock:
                if token is not None and token in self._slots and self._slots[token].upload is None:
                    del self._slots[token]

    def put(self, token: str, upload: Upload) -> None:
        """Keep an upload until it is taken, a minute at most."""
        with self._lock:
            self._slots[token].upload = upload

    def take(self, token: object) -> Upload:
        """The upload of a token, which is forgotten.

        Raises:
            UserError: it was refused or did not arrive, or there is no such token (any more).
        """
        with self._lock:
            self._drop_old()
            slot = self._slots.pop(token, None) if isinstance(token, str) else None
        if slot is None or slot.upload is None:
            reason = token if token in _REFUSED else "lost"
            raise UserError(text(f"upload.{reason}", megabytes=MAX_BYTES // 2**20))
        return slot.upload

    def __len__(self) -> int:
        with self._lock:
            self._drop_old()
            return len(self._slots)

    def _drop_old(self) -> None:
        oldest = self.clock() - _SECONDS
        self._slots = {token: slot for token, slot in self._slots.items() if slot.since > oldest}


def shown_name(text: str) -> str:
    """A file's name as the page shows it: without its folder and unprintable characters, 100 at most."""
    name = text.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in name if letter.isprintable()).strip()[:100] or "photograph"
