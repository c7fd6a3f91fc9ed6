"""Convolutions in bfloat16 on a CPU that has AMX or AVX512-BF16, against the reference in float32.

    python benchmarks/bfloat16.py [--processor-time]
    python benchmarks/bfloat16.py --emulate

The first measures one image of the full-size 256 px generator (random weights) and a training iteration at
64 px (the networks of benchmarks/training.py) in one run. On a CPU without these instructions, it says that
they are not available. With `--emulate`, it prints only how close the images are, by emulated instructions,
on any CPU; PSNR is relative to the range of the float32 image. Losses are compared by precision_losses.py.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from synthesis import build as build_synthesis
from synthesis import psnr
from timing import interleaved, machine, with_backend
from training import SMALL, average, build, iteration_parts, time_parts

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import load
from morphoscope.ops.dispatch import bfloat16_by, bfloat16_instructions
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.ops.precision import convolutions_in
from morphoscope.runtime.torch_memory import keep_freed_memory

CPU = torch.device("cpu")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--emulate", action="store_true", help="print how close the images are, on any CPU")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="where other programs run, too: count the time of this one",
    )
    options = parser.parse_args()
    print(machine(CPU))
    found = bfloat16_instructions()
    if options.emulate:
        for instructions in (Instructions.EMULATED_AMX, Instructions.EMULATED_AVX512_BF16):
            with bfloat16_by(instructions):
                print_closeness(instructions.label)
        return
    if isinstance(found, Unavailable):
        print(f"bfloat16 is not available on this CPU: {found.reason}. Nothing was measured.")
        return
    keep_freed_memory()  # as the training command does
    print_closeness(found.label)
    clock = time.process_time if options.processor_time else time.perf_counter
    measure_image(clock)
    measure_training(clock)


def with_bfloat16(run: Callable[[], object]) -> Callable[[], object]:
    """`run` with convolutions in bfloat16."""

    def chosen() -> object:
        with convolutions_in("bfloat16"):
            return run()

    return chosen


def print_closeness(name: str) -> None:
    """PSNR of images in bfloat16 against float32: of the 256 px generator, and of the bundled model."""
    network = build_synthesis(256)
    ws = torch.randn(1, network.num_ws, network.w_dim)
    exact = network(ws, noise_mode="const")
    with convolutions_in("bfloat16"):
        image = network(ws, noise_mode="const")
    print(f"{name}: 256 px, random weights: PSNR {psnr(image, exact):.1f} dB")
    models = {precision: load(GENERATOR, precision=precision) for precision in ("float32", "bfloat16")}
    conditions = models["float32"].conditions
    images = {
        precision: np.concatenate([model.sample(name, range(2)) for name in conditions]).astype(np.float32)
        for precision, model in models.items()
    }
    mean_square = np.square(images["bfloat16"] - images["float32"]).mean(axis=(1, 2, 3))
    decibels = 10 * np.log10(255**2 / mean_square)
    print(
        f"{name}: bundled model, {len(decibels)} images of 8 bits: PSNR {decibels.mean():.1f} dB, "
        f"lowest {decibels.min():.1f} dB"
    )


def measure_image(clock: Callable[[], float]) -> None:
    """Time one image at 256 px; a network per precision, because its weights stay packed for one only."""
    network, rounded = build_synthesis(256), build_synthesis(256)
    ws = torch.randn(1, network.num_ws, network.w_dim)

    def image() -> torch.Tensor:
        return network(ws, noise_mode="const")

    def rounded_image() -> torch.Tensor:
        return rounded(ws, noise_mode="const")

    runs = {
        "reference": with_backend("reference", image),
        "float32": image,
        "bfloat16": with_bfloat16(rounded_image),
    }
    times = interleaved(runs, CPU, clock=clock)
    for name, taken in times.items():
        print(f"256 px image, {name:9} {taken:7.1f} ms, speed {times['reference'] / taken:4.2f}")


def measure_training(clock: Callable[[], float]) -> None:
    """Time a training iteration at 64 px."""
    config = GeneratorTraining(resolution=64, augment="bgc", **SMALL).resolved()
    steps = iteration_parts(build(config, CPU))
    parts = {
        "reference": {part: with_backend("reference", run) for part, run in steps.items()},
        "float32": steps,
        "bfloat16": {part: with_bfloat16(run) for part, run in steps.items()},
    }
    times = {name: average(taken, config) for name, taken in time_parts(parts, CPU, clock).items()}
    for name, taken in times.items():
        print(f"64 px iteration, {name:9} {taken:7.1f} ms, speed {times['reference'] / taken:4.2f}")


if __name__ == "__main__":
    main()
