"""What it costs that an image does not depend on its batch: repeatable execution against a free one.

    python benchmarks/repeatable.py [--generator FILE] [--resolution 256] [--batch 16]

The free execution chooses the convolutions' algorithm by the size of the batch and computes the products of
the mapping, the styles and torgb with BLAS. Both run whole batches; "one by one" is the repeatable execution
of the same images in batches of one. Times are medians of interleaved runs, of the processor.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from timing import interleaved, machine

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.generate.execution import map_latents
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.rendering import render
from morphoscope.generate.snapshots import read_generator
from morphoscope.ops import backend, row_products
from morphoscope.ops.cpu import conv3x3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--generator", type=Path, default=GENERATOR)
    parser.add_argument("--resolution", type=int, help="random weights at this resolution, instead of a file")
    parser.add_argument("--channel-base", type=int, default=16384, help="of the random weights")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args()
    if options.resolution:
        G = random_generator(options.resolution, options.channel_base)
    else:
        G = read_generator(options.generator).G_ema
    torch.manual_seed(0)
    z = torch.randn(options.batch, G.z_dim)
    c = torch.eye(G.c_dim)[torch.arange(options.batch) % G.c_dim]
    runs = executions(G, z, c)
    images = {name: run() for name, run in runs.items()}
    print(f"{machine(torch.device('cpu'))}; {G.img_resolution} px, batch {options.batch}")
    times = interleaved(runs, torch.device("cpu"), options.repetitions, time.process_time)
    for name, taken in times.items():
        differing = (images[name] != images["free"]).mean()
        print(
            f"{name:22} {taken:8.1f} ms, {taken / times['free']:5.3f} x free; "
            f"{differing:.1e} of the values differ from free"
        )


def random_generator(resolution: int, channel_base: int) -> Generator:
    """Seven conditions, at most 512 channels."""
    torch.manual_seed(0)
    G = Generator(512, 7, 512, resolution, 3, synthesis_kwargs={"channel_base": channel_base})
    return G.eval().requires_grad_(False)


def executions(G: Generator, z: torch.Tensor, c: torch.Tensor) -> dict[str, Callable[[], np.ndarray]]:
    """The executions to compare, by name."""

    def repeatable() -> np.ndarray:
        return render(G.synthesis, map_latents(G, z, c))

    def one_by_one() -> np.ndarray:
        pairs = zip(z.split(1), c.split(1), strict=True)
        return np.concatenate([render(G.synthesis, map_latents(G, *pair)) for pair in pairs])

    def free() -> np.ndarray:
        with chosen_by_batch(len(z)):
            return repeatable()

    def reference() -> np.ndarray:
        with backend("reference"):
            return repeatable()

    return {"free": free, "repeatable": repeatable, "one by one": one_by_one, "reference": reference}


@contextmanager
def chosen_by_batch(size: int) -> Iterator[None]:
    """Choose convolutions by the size of the batch, and compute products with BLAS, within the block."""
    by_pixels = conv3x3.algorithm_for

    def by_batch(pixels: int, weights: conv3x3.Weights, bfloat16: int | None) -> str:
        return by_pixels(size * pixels, weights, bfloat16)

    with (
        patch.object(conv3x3, "algorithm_for", by_batch),
        patch.object(row_products, "rows_are_independent", lambda *_: False),
    ):
        yield


if __name__ == "__main__":
    main()
