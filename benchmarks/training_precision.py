"""Whole training iterations of StyleGAN2-ADA on a GPU, in each precision and without CUDA graphs.

    python benchmarks/training_precision.py [--resolution 128] [--set channel_base=8192 …]

The networks and batch of the auto preset unless set otherwise, with bgc augmentation at p = 0.5. A run has
sixteen iterations, so that penalties are as frequent as in training. Times are medians of interleaved runs.
Memory is torch's peak while an arm runs, minus the memory that the other arms hold.
"""

import argparse
from collections.abc import Callable

import torch
from timing import interleaved, machine
from training import build

from morphoscope.configs import load_config
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime.torch_devices import resolve_device, set_precision

_ITERATIONS = 16
ARMS = {
    "float32": ["num_fp16_res=0"],
    "TF32": ["num_fp16_res=0", "tf32=true"],
    "float16": ["half_dtype=float16"],
    "bfloat16": ["half_dtype=bfloat16"],
    "float16 + TF32": ["half_dtype=float16", "tf32=true"],
    "float16, not recorded": ["half_dtype=float16", "cuda_graphs=false"],
}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for all arms; repeatable")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    device = resolve_device("cuda")
    runs, memory = {}, {}
    for name, settings in ARMS.items():
        overrides = ["augment=bgc", f"resolution={options.resolution}", *options.set, *settings]
        config = load_config(GeneratorTraining, family="generate", preset="auto", overrides=overrides)
        held = torch.cuda.memory_allocated(device)
        trainer = build(config.resolved(), device)
        runs[name] = iterations(trainer)
        memory[name] = peak(runs[name], device) - held
    config = trainer.config
    print(
        f"{machine(device)}; {config.images.resolution} px, batch {config.training.batch}, "
        f"channels {config.network.channel_base} up to {config.network.channel_max}"
    )
    times = interleaved(runs, device, options.repetitions)
    for name, taken in times.items():
        rate = 1000 * _ITERATIONS * config.training.batch / taken
        print(
            f"{name:22} {taken / _ITERATIONS:7.1f} ms per iteration, {rate:6.0f} images/s, "
            f"speed {times['float32'] / taken:4.2f}, {memory[name] / 2**30:5.2f} GiB"
        )


def iterations(trainer: GeneratorTrainer) -> Callable[[], None]:
    """A function that runs sixteen iterations of a trainer in its precision."""

    def run() -> None:
        set_precision(trainer.device, trainer.config.training.tf32)
        for _ in range(_ITERATIONS):
            trainer.iterate()

    return run


def peak(run: Callable[[], None], device: torch.device) -> int:
    """Largest number of bytes that torch had allocated during one run, which is also the warm-up."""
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device)


if __name__ == "__main__":
    main()
