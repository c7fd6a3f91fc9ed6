"""Work on many files in threads (Pillow and hashing release the GIL), with all errors reported together."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from morphoscope.configs import UserError
from morphoscope.runtime.progress import track

T = TypeVar("T")
_LONGEST = 1000  # characters of a message


def collect_errors(
    function: Callable[[T], object], items: Sequence[T], description: str
) -> list[tuple[T, str]]:
    """Call `function` on every item for its effect, in threads, with a progress bar named `description`.

    Any exception other than UserError, Ctrl-C included, stops the work at once.

    Returns:
        (item, message) of each call that raised UserError, in the order of `items`.
    """

    def attempt(item: T) -> str | None:
        try:
            function(item)
        except UserError as error:
            return str(error)
        return None

    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        results = track(pool.map(attempt, items), description, total=len(items), unit="images")
        return [(item, message) for item, message in zip(items, results, strict=True) if message is not None]
    finally:
        pool.shutdown(cancel_futures=True)


def raise_together(errors: Sequence[str], what: str) -> None:
    """Raise one UserError with all messages, if there are any; `what` follows their number.

    A message that quotes a name of thousands of characters is cut.
    """
    if errors:
        cut = (error if len(error) <= _LONGEST else f"{error[:_LONGEST]}…" for error in errors)
        raise UserError(f"{len(errors)} {what}: " + " | ".join(cut))
