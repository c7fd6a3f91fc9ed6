"""Training batches: they do not depend on the workers, and no worker outlives its training."""

import multiprocessing
import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import torch

from morphoscope.classify.training.batches import BatchLoader, worker_count
from morphoscope.classify.training.pool import ImagePool
from morphoscope.classify.training.transforms import TrainingTransforms

ORDER = [np.array(part) for part in ([4, 0, 9], [7, 1, 3], [8, 2], [6, 5], [10, 11], [12, 13, 14])]

forking = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="workers need a system that forks"
)


@pytest.fixture
def images() -> ImagePool:
    pixels = np.random.default_rng(0).integers(0, 256, (15, 24, 24, 3), dtype=np.uint8)
    return ImagePool.of([(pixels, np.ones((15, 1), np.float32), np.arange(15))])


def loader(images: ImagePool, workers: int) -> BatchLoader:
    return BatchLoader(images, TrainingTransforms(1.0), 3, workers)


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(processes: list[int]) -> bool:
    deadline = time.monotonic() + 120
    while any(map(running, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(running, processes))


def workers_of_this_process() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid]


@forking
def test_batches_do_not_depend_on_the_number_of_workers(images: ImagePool) -> None:
    with loader(images, 0) as alone, loader(images, 2) as helped:
        for seed in (1, 2):
            own = [batch.copy() for batch in alone.epoch(ORDER, seed)]
            for one, two in zip(own, helped.epoch(ORDER, seed), strict=True):
                np.testing.assert_array_equal(one, two)


def test_an_images_transforms_do_not_depend_on_the_batch(images: ImagePool) -> None:
    with loader(images, 0) as one:
        batches = [batch.copy() for batch in one.epoch(ORDER, 1)]
        other = [batch.copy() for batch in one.epoch([np.array([5]), np.array([1, 9])], 1)]
        later = [batch.copy() for batch in one.epoch([np.array([5])], 2)]
    np.testing.assert_array_equal(other[0][0], batches[3][1])
    np.testing.assert_array_equal(other[1][1], batches[0][2])
    assert not np.array_equal(later[0], other[0])


@forking
def test_an_image_that_comes_again_in_an_epoch_is_transformed_differently(images: ImagePool) -> None:
    count = len(images)
    with BatchLoader(images, TrainingTransforms(1.0), batch=2) as loader:
        ((first, again),) = [batch.copy() for batch in loader.epoch([np.array([1, 1 + count])], seed=0)]
    assert (first != again).any()
    with BatchLoader(images, TrainingTransforms(0.0), batch=2) as loader:
        ((first, again),) = [batch.copy() for batch in loader.epoch([np.array([1, 1 + count])], seed=0)]
    np.testing.assert_array_equal(first, again)


def test_leaving_an_unfinished_epoch_ends_the_workers(images: ImagePool) -> None:
    with pytest.raises(KeyboardInterrupt), loader(images, 2) as batches:
        for _ in batches.epoch(ORDER, 1):
            workers = workers_of_this_process()
            assert len(workers) == 2
            raise KeyboardInterrupt
    assert not any(map(running, workers))


@forking
def test_ctrl_c_does_not_reach_workers_and_a_killed_one_is_noticed(images: ImagePool) -> None:
    with loader(images, 2) as batches:
        assert len(list(batches.epoch(ORDER, 1))) == len(ORDER)
        workers = workers_of_this_process()
        for process in workers:
            os.kill(process, signal.SIGINT)
        assert len(list(batches.epoch(ORDER, 2))) == len(ORDER)
        os.kill(workers[0], signal.SIGTERM)
        with pytest.raises(BrokenProcessPool):
            for seed in range(1000):
                list(batches.epoch(ORDER, seed))
    assert gone(workers)


@forking
def test_workers_end_with_a_training_that_is_killed(images: ImagePool) -> None:
    read, write = os.pipe()
    training = os.fork()
    if not training:  # a training in a process of its own, which whatever happens does not go on testing
        try:
            with loader(images, 2) as batches:
                for _ in batches.epoch(ORDER, 1):
                    os.write(write, " ".join(map(str, workers_of_this_process())).encode())
                    time.sleep(60)
        finally:
            os._exit(1)
    os.close(write)  # so that a training that failed ends the reading
    workers = [int(number) for number in os.read(read, 100).split()]
    os.kill(training, signal.SIGKILL)
    os.waitpid(training, 0)
    os.close(read)
    assert len(workers) == 2 and gone(workers)


def test_a_cpu_keeps_its_cores_for_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_count(torch.device("cpu")) == 0
    for cores, workers in ((1, 0), (8, 7), (64, 16)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["fork", "spawn"])
        assert worker_count(torch.device("cuda")) == workers
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert worker_count(torch.device("cuda")) == 0
