"""Of the requests of one page only the newest is worth computing."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

_PAGES = 1_000  # remembered


class Newest:
    """Tells a computation whether its page has requested something else since; safe for several threads."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, object] = OrderedDict()
        self._lock = Lock()

    def request(self, page: str) -> Callable[[], bool]:
        """Register a request of a page; the function returned says whether it still is the page's newest."""
        own = object()
        with self._lock:
            self._newest[page] = own
            self._newest.move_to_end(page)
            while len(self._newest) > _PAGES:
                self._newest.popitem(last=False)
        return lambda: self._newest.get(page, own) is own
