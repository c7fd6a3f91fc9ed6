"""Geometric augmentation on a CPU: matrix products (what ships) against the chain of `upfirdn2d` calls.

    python benchmarks/augmentation.py

Forward and backward, bgc at p = 0.3, both in one run and interleaved; medians and their ratio.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from timing import interleaved, machine

from morphoscope.generate import augmentation_geometry as geometry
from morphoscope.generate.augmentation import AugmentPipe, augment_multipliers
from morphoscope.ops.upfirdn2d import downsample2d, upsample2d


def chain(images: torch.Tensor, A: torch.Tensor, lowpass: torch.Tensor) -> torch.Tensor:
    """`geometry.resample` with padding, upsampling and downsampling as calls on the images themselves."""
    height, width = images.shape[2:]
    reach = len(lowpass) // 4
    margin = geometry.margins(A, width, height, reach)
    left, top, right, bottom = margin
    images = upsample2d(F.pad(images, [left, right, top, bottom], mode="reflect"), lowpass)
    size = (2 * (height + 2 * reach), 2 * (width + 2 * reach))
    images = geometry.sample_oversampled(images, A, margin, size)
    return downsample2d(images, lowpass, padding=-2 * reach, flip_filter=True)


def main() -> None:
    """Measure two batch shapes and print one line each."""
    pipe = AugmentPipe(**augment_multipliers("bgc"))
    multipliers = {name: 0.3 * value for name, value in pipe.multipliers.items()}
    print(machine(torch.device("cpu")))
    for shape in [(16, 3, 64, 64), (4, 3, 256, 256)]:
        torch.manual_seed(0)
        images = torch.randn(shape, requires_grad=True)
        strengths = geometry.Strengths(images, None)
        A = geometry.draw_geometry(multipliers, strengths, images, random=True)
        runs = {
            f.__name__: partial(_forward_backward, f, images, A, pipe.Hz_geom)
            for f in (geometry.resample, chain)
        }
        ours, theirs = interleaved(runs, torch.device("cpu")).values()
        print(f"{list(shape)}: products {ours:.1f} ms, chain {theirs:.1f} ms, ratio {theirs / ours:.2f}")


def _forward_backward(
    resample: Callable[..., torch.Tensor], images: torch.Tensor, A: torch.Tensor, lowpass: torch.Tensor
) -> None:
    resample(images, A, lowpass).sum().backward()


if __name__ == "__main__":
    main()
