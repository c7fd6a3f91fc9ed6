"""Batches of what waits, without models."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from morphoscope.apps.batching import Batcher


class Doubling:
    """Doubles numbers, notes the batches, and starts only when it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started, self.let_go = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.started.set()
        self.let_go.wait()
        self.batches.append(list(items))
        if -1 in items:
            raise ValueError("negative")
        return [2 * item for item in items]


def test_what_waits_is_computed_together() -> None:
    doubling = Doubling()
    batcher = Batcher(doubling, largest=4)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(batcher, 0)
        doubling.started.wait()
        others = [pool.submit(batcher, number) for number in range(1, 9)]
        while len(batcher._waiting) < 8:
            pass
        doubling.let_go.set()
        assert first.result() == 0
        assert [other.result() for other in others] == [2 * number for number in range(1, 9)]
    assert [len(batch) for batch in doubling.batches] == [1, 4, 4]


def test_alone_it_computes_at_once_and_errors_are_raised() -> None:
    doubling = Doubling()
    doubling.let_go.set()
    batcher = Batcher(doubling, largest=4)
    assert batcher(3) == 6
    with pytest.raises(ValueError, match="negative"):
        batcher(-1)
    assert batcher(4) == 8
