"""A morph against single calls for each of its frames, and where its time goes.

    python benchmarks/morphs.py [--steps 32] [--device cpu] [GENERATOR]

Labels are mixed; every frame has a truncation centre of its own, which is computed once and kept. "first" is
a morph whose centres are not known yet, "again" the same one. Times are medians of interleaved runs.
"""

import argparse

import numpy as np
from timing import interleaved, machine

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.generate import load
from morphoscope.generate.centres import TruncationCentres
from morphoscope.generate.latents import End, LatentPath
from morphoscope.runtime.torch_devices import resolve_device


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("generator", nargs="?", default=GENERATOR)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = resolve_device(options.device)
    model = load(options.generator, device)
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
    times = interleaved(runs, device, repetitions=9)
    print(f"{machine(device)}; {model.resolution} px, digest {model.digest}; {options.steps} frames")
    for name, taken in times.items():
        print(f"{name:26} {taken:7.1f} ms, {taken / options.steps:6.2f} ms per frame")
    for when in ("first", "again"):
        ratio = times[f"single calls, {when}"] / times[f"morph, {when}"]
        print(f"single calls / morph, {when}: {ratio:.2f}")


if __name__ == "__main__":
    main()
