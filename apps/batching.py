"""Requests that arrive while others are computed are computed together, in one batch."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """A function of several items, called with one item by each of several threads.

    One thread computes at a time; what the others ask for meanwhile is its successor's batch. A thread that
    finds nobody waiting computes at once, so that nothing is gained or lost for a single user.

    Attributes:
        turn: held while a batch is computed; hold it to keep the processor for another computation.
    """

    def __init__(self, compute: Callable[[Sequence[Item]], Sequence[Result]], largest: int) -> None:
        """Batch calls of `compute`, which returns one result per item; `largest` items at a time."""
        self.compute, self.largest = compute, largest
        self.turn = Lock()
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()

    def __call__(self, item: Item) -> Result:
        """The result for an item; errors of its batch are raised."""
        own: Future[Result] = Future()
        self._waiting.append((item, own))
        while not own.done():
            with self.turn:
                if not own.done():
                    self._compute_first()
        return own.result()

    def _compute_first(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(self.largest, len(self._waiting)))]
        try:
            results = self.compute([item for item, _ in batch])
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)
        except Exception as error:  # noqa: BLE001 - handed to each thread that waits, which raises it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
