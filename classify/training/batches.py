"""Training batches, transformed by worker processes while the device computes."""

import math
import mmap
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType

import cv2
import numpy as np
import torch

from morphoscope.classify.training.pool import ImagePool

Transform = Callable[[np.ndarray, Sequence[int]], np.ndarray]
"""(uint8 image, seed) -> a changed image of the same shape."""

_AHEAD = 3  # batches in preparation while the device trains on one
_MOST_WORKERS = 16


def worker_count(device: torch.device) -> int:
    """Number of processes that prepare images for a training on `device`; 0: the training's own process.

    Training on a GPU leaves all cores but one idle; on a CPU torch uses all of them. Workers inherit the
    images by forking, which not every system supports.
    """
    if device.type == "cpu" or "fork" not in multiprocessing.get_all_start_methods():
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores - 1, _MOST_WORKERS)


class BatchLoader:
    """Makes batches of transformed training images, a few ahead of the one in use.

    An image's transforms are determined by (seed of the epoch, its index) alone, so that batches do not
    depend on the number of workers. Workers start with the first batch. They end when the context is left,
    and when the training's process ends, for whatever reason.
    """

    def __init__(self, images: ImagePool, transforms: Transform, batch: int, workers: int = 0) -> None:
        """Reserve memory for the batches.

        Args:
            images: the training images.
            transforms: applied to each image.
            batch: maximum number of images per batch.
            workers: number of processes, see `worker_count`.
        """
        shape = (_AHEAD + 1 if workers else 1, batch, *images.image(0).shape)
        # Anonymous and shared: what workers write is visible here without a copy through a pipe, and a
        # container's limit on /dev/shm does not apply.
        memory = mmap.mmap(-1, math.prod(shape))
        self._slots = np.frombuffer(memory, np.uint8).reshape(shape)
        self._filler = _Filler(images, transforms, self._slots)
        self._workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> "BatchLoader":
        if self._workers:
            cv2.setNumThreads(0)  # OpenCV's threads do not exist in a fork, which would wait for them
            self._executor = ProcessPoolExecutor(
                self._workers, multiprocessing.get_context("fork"), _start_worker, (self._filler,)
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def epoch(self, batches: Sequence[np.ndarray], seed: int) -> Iterator[np.ndarray]:
        """Yield uint8 [n, S, S, 3] or, for pairs, [n, S, 2S, 3] for each batch; valid until the next one.

        Args:
            batches: image indices of each batch, int64 [n]. Index i + k N is image i of N once more, with
                other transforms.
            seed: of the epoch.

        Raises:
            BrokenProcessPool: a worker was killed.
        """
        if self._executor is None:
            for chosen in batches:
                self._filler.fill(0, 0, chosen, seed)
                yield self._slots[0, : len(chosen)]
            return
        waiting: deque[list[Future[None]]] = deque()
        for number, current in enumerate(batches):
            for later in range(number + len(waiting), min(number + _AHEAD + 1, len(batches))):
                waiting.append(self._submit(later % len(self._slots), batches[later], seed))
            for part in waiting.popleft():
                part.result()
            yield self._slots[number % len(self._slots), : len(current)]

    def _submit(self, slot: int, chosen: np.ndarray, seed: int) -> list[Future[None]]:
        """Have a batch prepared by all workers, one part per worker."""
        assert self._executor is not None
        parts = np.array_split(chosen, min(self._workers, len(chosen)))
        starts = np.cumsum([0, *map(len, parts)])
        return [
            self._executor.submit(_fill, slot, int(start), part, seed)
            for start, part in zip(starts, parts, strict=False)
        ]


class _Filler:
    """Writes transformed images into slots, uint8 [slots, batch, S, S, 3]."""

    def __init__(self, images: ImagePool, transforms: Transform, slots: np.ndarray) -> None:
        self._images, self._transforms, self._slots = images, transforms, slots

    def fill(self, slot: int, start: int, chosen: np.ndarray, seed: int) -> None:
        """Write the images `chosen` to `slot`, starting at place `start`."""
        for place, index in enumerate(chosen.tolist(), start):
            image = self._images.image(index % len(self._images))
            self._slots[slot, place] = self._transforms(image, (seed, index))


_worker: _Filler  # of this process, if it is a worker


def _start_worker(filler: _Filler) -> None:
    global _worker
    _worker = filler
    # Ctrl-C in a terminal reaches every process, but the training ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _fill(slot: int, start: int, chosen: np.ndarray, seed: int) -> None:
    _worker.fill(slot, start, chosen, seed)
