"""Training images per second, prepared for the classifier by the training's own process and by workers.

    python benchmarks/classifier_loading.py [--resolution 448] [--transforms paper] [--workers 15]

Only the loader is timed; nothing is trained on its batches. Times are medians of whole epochs in interleaved
runs. OpenCV's own threads are off, as in every training run with workers.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import torch
from timing import interleaved, machine

from morphoscope.classify.training.batches import BatchLoader, worker_count
from morphoscope.classify.training.pool import ImagePool
from morphoscope.classify.training.transforms import TrainingTransforms

_CPU = torch.device("cpu")


def main() -> None:
    """Measure and print one line for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--transforms", choices=["usual", "paper"], default="usual")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=worker_count(torch.device("cuda")))
    options = parser.parse_args()
    images = smooth_images(8 * options.batch, options.resolution)
    order = np.array_split(np.random.default_rng(0).permutation(len(images)), 8)
    print(f"{machine(_CPU)}; {options.transforms} transforms, {options.resolution} px, batch {options.batch}")
    with ExitStack() as stack:
        runs = {}
        for workers in dict.fromkeys((0, options.workers)):
            transforms = TrainingTransforms(1.0, options.transforms)
            loader = stack.enter_context(BatchLoader(images, transforms, options.batch, workers))
            runs[f"{workers} workers"] = epoch(loader, order)
        times = interleaved(runs, _CPU, 5)
    for name, taken in times.items():
        rate, speed = 1000 * len(images) / taken, times["0 workers"] / taken
        print(f"{name}: {rate:6.0f} images/s, speed {speed:.2f}")


def smooth_images(count: int, resolution: int) -> ImagePool:
    """Random images that are smooth, as photographs are."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255
    fine = torch.nn.functional.interpolate(coarse, size=resolution, mode="bicubic").clamp(0, 255)
    pixels = fine.permute(0, 2, 3, 1).contiguous().to(torch.uint8).numpy()
    return ImagePool.of([(pixels, np.ones((count, 1), np.float32), np.arange(count))])


def epoch(loader: BatchLoader, order: list[np.ndarray]) -> Callable[[], None]:
    """A function that loads every batch once."""

    def run() -> None:
        for _ in loader.epoch(order, seed=0):
            pass

    return run


if __name__ == "__main__":
    main()
