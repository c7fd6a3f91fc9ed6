"""Training iterations of StyleGAN2-ADA: native operations against their reference twins.

    python benchmarks/training.py [--device cuda] [--auto --resolution 256]

By default, networks at 64 px with channel_base 2048 (at most 64 channels), batch 32, and bgc augmentation at
p = 0.5. Each part of an iteration is timed with both implementations, interleaved; the average iteration
weights the penalties by their frequency.
"""

import argparse
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from timing import interleaved, machine, with_backend

from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.generate.training.trainer import GeneratorTrainer, fastest_convolutions
from morphoscope.runtime.torch_devices import resolve_device, set_precision
from morphoscope.runtime.torch_memory import keep_freed_memory
from morphoscope.runtime.torch_processes import Processes

SMALL = {"channel_base": 2048, "channel_max": 64, "batch": 32, "num_fp16_res": 0}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--auto", action="store_true", help="the auto preset's networks and batch")
    options = parser.parse_args()
    device = resolve_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()  # as the training command does
    set_precision(device, tf32=False)
    settings = {} if options.auto else SMALL
    config = GeneratorTraining(resolution=options.resolution, augment="bgc", **settings).resolved()
    # One trainer per implementation, because on a GPU a trainer replays the kernels that it has recorded.
    parts = {
        name: {part: with_backend(name, run) for part, run in iteration_parts(build(config, device)).items()}
        for name in ("reference", "native")
    }
    times = time_parts(parts, device)
    print(
        f"{machine(device)}; {config.images.resolution} px, batch {config.training.batch}, "
        f"channels {config.network.channel_base}"
    )
    averages = {name: average(taken, config) for name, taken in times.items()}
    for name, taken in times.items():
        listed = ", ".join(f"{part} {milliseconds:.0f}" for part, milliseconds in taken.items())
        speed = averages[name] / config.training.batch  # ms per image is s per 1000
        print(f"{name:10} {averages[name]:7.0f} ms per iteration, {speed:.1f} s per 1000 images  ({listed})")
    print(f"ratio {averages['reference'] / averages['native']:.2f}")


def time_parts(
    parts: Mapping[str, Mapping[str, Callable[[], object]]],
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, float]]:
    """Milliseconds by implementation and part; the implementations of a part are interleaved."""
    times: dict[str, dict[str, float]] = {name: {} for name in parts}
    for part in next(iter(parts.values())):
        with fastest_convolutions():
            runs = {name: parts[name][part] for name in parts}
            for name, taken in interleaved(runs, device, 7, clock).items():
                times[name][part] = taken
    return times


def average(taken: Mapping[str, float], config: ResolvedTraining) -> float:
    """Milliseconds of an average iteration, in which penalties are as frequent as in training."""
    loss = config.loss
    often = {"G": 1.0, "path length": 1 / loss.g_interval, "D": 1.0, "R1": 1 / loss.d_interval}
    return sum(taken[part] * often[part] for part in often)


def build(config: GeneratorTraining, device: torch.device) -> GeneratorTrainer:
    """A trainer on random images of six conditions, with augmentation at p = 0.5."""
    rng = np.random.default_rng(0)
    images = rng.integers(
        0, 256, (256, config.images.resolution, config.images.resolution, 3), dtype=np.uint8
    )
    trainer = GeneratorTrainer(config, images, rng.integers(0, 6, 256), list("abcdef"), Processes(device))
    trainer.augment.p.fill_(0.5)
    return trainer


def iteration_parts(trainer: GeneratorTrainer) -> dict[str, Callable[[], object]]:
    """The steps of `GeneratorTrainer.iterate`, by name."""
    reals = {0: trainer._reals(0)}
    return {
        "G": trainer._train_generator,
        "path length": trainer._regularise_path_length,
        "D": lambda: trainer._train_discriminator(reals),
        "R1": lambda: trainer._regularise_r1(reals),
    }


if __name__ == "__main__":
    main()
