"""How even the steps of morphs are, before and after their frames are placed: all pairs of conditions.

    python benchmarks/spacing.py [--steps 9] [--seed 4] [GENERATOR]

Prints, for each way, the ratio of the largest to the smallest step with evenly spaced ratios and as placed:
median and maximum over the pairs, with psi 0.7.
"""

import argparse
from itertools import combinations

import numpy as np

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.configs.morphs import Way
from morphoscope.generate import GeneratorModel, load
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.latents.spacing import space_evenly
from morphoscope.generate.metrics.perceptual import PerceptualNetwork, load_perceptual_network


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("generator", nargs="?", default=GENERATOR)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    model, network = load(options.generator), load_perceptual_network()
    pairs = list(combinations(model.conditions, 2))
    print(f"{model.resolution} px, digest {model.digest}; {len(pairs)} pairs, features of {network.name}")
    ways: tuple[Way, ...] = ("label", "w")
    for way in ways:
        paths = [LatentPath(End(options.seed, {a: 1.0}), End(options.seed, {b: 1.0}), way) for a, b in pairs]
        found = [unevenness(model, network, path, options.steps) for path in paths]
        for name, ratios in zip(("before", "after"), np.transpose(found), strict=True):
            print(f"{way:5} {name:6} median {np.median(ratios):.2f}, maximum {ratios.max():.2f}", flush=True)


def unevenness(
    model: GeneratorModel, network: PerceptualNetwork, path: LatentPath, steps: int
) -> tuple[float, float]:
    """The ratio of the largest to the smallest step of one path, before and after."""
    return space_evenly(lambda ratios: path.frames(model, ratios), steps, network).unevenness


if __name__ == "__main__":
    main()
