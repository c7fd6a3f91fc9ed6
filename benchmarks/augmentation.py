"""Geometric augmentation: native operations against their reference twins.

    python benchmarks/augmentation.py [--device cuda]

Forward and backward pass of bgc at p = 0.3. Runs are interleaved; the output has medians and their ratio.
"""

import argparse
from functools import partial

import torch
from timing import interleaved, machine, with_backend

from morphoscope.generate.augmentation import AugmentPipe, augment_multipliers, geometry
from morphoscope.runtime.torch_devices import resolve_device


def main() -> None:
    """Measure two batch shapes and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    device = resolve_device(parser.parse_args().device)
    pipe = AugmentPipe(**augment_multipliers("bgc")).to(device)
    probability = {name: 0.3 * value for name, value in pipe.multipliers.items() if value > 0}
    print(machine(device))
    for shape in [(16, 3, 64, 64), (4, 3, 256, 256)]:
        torch.manual_seed(0)
        images = torch.randn(shape, device=device, requires_grad=True)
        strengths = geometry.Strengths(images, None)
        A = geometry.draw_geometry(probability, strengths, images, random=True)
        run = partial(forward_backward, images, A, pipe.Hz_geom)
        runs = {name: with_backend(name, run) for name in ("reference", "native")}
        theirs, ours = interleaved(runs, device).values()
        print(f"{list(shape)}: native {ours:.1f} ms, reference {theirs:.1f} ms, ratio {theirs / ours:.2f}")


def forward_backward(images: torch.Tensor, A: torch.Tensor, lowpass: torch.Tensor) -> None:
    """One resampling and its gradient."""
    geometry.resample(images, A, lowpass).sum().backward()


if __name__ == "__main__":
    main()
