"""A morph against single calls for each of its frames, and where its time goes.

    python benchmarks/morphs.py [--steps 32] [--device cpu] [--untrained RESOLUTION] [GENERATOR]

Labels are mixed; every frame has a truncation centre of its own, which is computed once and kept. "first" is
a morph whose centres are not known yet, "again" the same one. Times are medians of interleaved runs; on a CPU
they are of the processor, not of the clock. They do not depend on the weights: --untrained takes a generator
of the published size with random ones.
"""

import argparse
import time

import numpy as np
import torch
from timing import interleaved, machine

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.generate import Generator, GeneratorModel, load
from morphoscope.generate.centres import TruncationCentres
from morphoscope.generate.latents import End, LatentPath
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_memory import keep_freed_memory


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("generator", nargs="?", default=GENERATOR)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--untrained", type=int, metavar="RESOLUTION")
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args()
    device = resolve_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()  # as the commands do
    model = untrained(options.untrained, device) if options.untrained else load(options.generator, device)
    a, b = model.conditions[0], model.conditions[-1]
    ratios = np.linspace(0, 1, options.steps)
    path = LatentPath(End(0, {a: 1.0}), End(0, {b: 1.0}))
    labels = [{a: 1 - float(ratio), b: float(ratio)} for ratio in ratios]
    codes = path.codes(model, ratios)

    def first() -> None:
        model.centres = TruncationCentres(model.G, model.class_means)
        path.frames(model, ratios)

    def singles_first() -> None:
        model.centres = TruncationCentres(model.G, model.class_means)
        singles()

    def singles() -> None:
        for label in labels:
            model.sample(label, [0])

    runs = {
        "morph, first": first,
        "single calls, first": singles_first,
        "morph, again": lambda: path.frames(model, ratios),
        "single calls, again": singles,
        "images of its codes alone": lambda: model.images(codes),
    }
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = interleaved(runs, device, options.repetitions, clock)
    print(f"{machine(device)}; {model.resolution} px, digest {model.digest}; {options.steps} frames")
    for name, taken in times.items():
        print(f"{name:26} {taken:7.1f} ms, {taken / options.steps:6.2f} ms per frame")
    for when in ("first", "again"):
        ratio = times[f"single calls, {when}"] / times[f"morph, {when}"]
        print(f"single calls / morph, {when}: {ratio:.2f}")


def untrained(resolution: int, device: torch.device) -> GeneratorModel:
    """A generator of the published size with the bundled model's metadata."""
    torch.manual_seed(0)
    bundled = load(GENERATOR)
    sizes = {"channel_base": 16384, "channel_max": 512}
    G = Generator(512, len(bundled.conditions), 512, resolution, 3, synthesis_kwargs=sizes)
    G.eval().requires_grad_(False).to(device)
    labels = torch.eye(len(bundled.conditions), device=device)
    means = G.mapping(torch.randn(len(labels), 512).to(device), labels)[:, 0]
    return GeneratorModel(G, means, bundled.metadata, "0" * 16)


if __name__ == "__main__":
    main()
