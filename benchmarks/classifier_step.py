"""Training steps of a classifier preset on random images: time, images per second, memory.

    python benchmarks/classifier_step.py [--preset paper-focused] [--device cuda] [--set batch=64 …]

Random weights, seven conditions. The images are on the device already, so that only the network is timed.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from timing import machine, synchronize
from torch.nn.functional import cross_entropy

from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.training.fold import half_precision
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.torch_devices import resolve_device

_CONDITIONS = 7


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="paper-focused")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE; repeatable")
    options = parser.parse_args()
    device = resolve_device(options.device)
    overrides = ["weights=none", "freeze_stages=0", *options.set]
    config = load_config(EnsembleTraining, family="classify", preset=options.preset, overrides=overrides)
    step = stepper(config, device)
    times = [seconds(step, device) for _ in range(options.steps + 3)]
    taken = statistics.median(times[3:])  # the first three warm up
    memory = f", {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB" if device.type == "cuda" else ""
    print(
        f"{machine(device)}; {config.network.backbone}, {config.images.resolution} px, "
        f"batch {config.training.batch}, "
        f"{half_precision(config.training.precision, device) or 'float32'}: {1000 * taken:.0f} ms per step, "
        f"{config.training.batch / taken:.0f} images/s{memory}"
    )


def stepper(config: EnsembleTraining, device: torch.device) -> Callable[[], None]:
    """A function that runs one training step."""
    model = ConditionClassifier.pretrained(config, _CONDITIONS).to(device).train()
    fused = True if device.type == "cuda" else None
    optimizer = torch.optim.Adam(model.parameters(), lr=config.training.learning_rate, fused=fused)
    half = half_precision(config.training.precision, device)
    images = torch.rand(
        config.training.batch, 3, config.images.resolution, config.images.resolution, device=device
    )
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(_CONDITIONS, (config.training.batch,), device=device)

    def step() -> None:
        with torch.autocast(device.type, half, enabled=half is not None):
            logits = model.joint(images)
        cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def seconds(run: Callable[[], None], device: torch.device) -> float:
    """Duration of one run in seconds."""
    synchronize(device)
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
