"""Each operation, forward and backward: native kernels against the reference twin, and against a floor.

    python benchmarks/ops.py [--device cuda]

Shapes are those of training at 64 px with batch 32. On a GPU the batch is eight times as large, which exceeds
the L2 cache several times, and runs are recorded as CUDA graphs, so that the kernels are timed and not
Python. Times are medians in milliseconds, with the implementations interleaved in one run. The floor is the
time that the forward pass would take at the measured bandwidth (bytes of operands and results) or, for
convolutions, at the measured rate of products (multiplications of a direct convolution).
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import torch
from timing import captured, copy_bandwidth, interleaved, machine, product_rate, with_backend

from morphoscope.ops import bias_act, epilogue, grid_sample, modulated_conv2d, setup_filter, upfirdn2d
from morphoscope.ops.conv2d_resample import conv2d_resample
from morphoscope.runtime.torch_devices import resolve_device, set_precision

_REPLAYED = 10  # runs per graph: launching and awaiting a graph takes as long as a small kernel
_LAYOUTS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}


class Case(NamedTuple):
    """One row: the shape of x, the operation, and the number of multiplications of a direct convolution."""

    name: str
    shape: tuple[int, int, int, int]
    run: Callable[[torch.Tensor], torch.Tensor]
    products: int = 0


def cases(device: torch.device, many: int) -> list[Case]:
    """The rows of the table, for a batch of 32 · `many`."""
    f4 = setup_filter([1, 3, 3, 1], device=device)
    f12 = setup_filter(torch.arange(1.0, 13), device=device)
    b = torch.randn(32, device=device)
    w = torch.randn(32, 32, 3, 3, device=device) / 17
    wide = torch.randn(64, 32, 3, 3, device=device) / 17
    n = 32 * many
    s = torch.randn(n, 32, device=device)
    noise = torch.randn(n, 64, 64, device=device)
    grid = torch.rand(n, 140, 140, 2, device=device) * 2 - 1
    large, images = (n, 32, 64, 64), (n, 3, 64, 64)
    product = n * 9 * 32 * 32 * 64 * 64
    return [
        Case("bias_act lrelu, clamp", large, lambda x: bias_act(x, b, act="lrelu", clamp=256)),
        Case("bias_act swish", large, lambda x: bias_act(x, b, act="swish")),
        Case("upfirdn2d 4x4", large, lambda x: upfirdn2d(x, f4, padding=2)),
        Case("upfirdn2d 4x4 up 2", large, lambda x: upfirdn2d(x, f4, up=2, padding=(2, 1, 2, 1))),
        Case("upfirdn2d 4x4 down 2", large, lambda x: upfirdn2d(x, f4, down=2, padding=1)),
        Case("upfirdn2d 12 taps up 2", images, lambda x: upfirdn2d(x, f12, up=2, padding=(6, 5, 6, 5))),
        Case("upfirdn2d 12 taps down 2", images, lambda x: upfirdn2d(x, f12, down=2, padding=5)),
        Case("epilogue", large, lambda x: epilogue(x, b, scale=s, noise=noise, act="lrelu", clamp=256)),
        Case("grid_sample", images, lambda x: grid_sample(x, grid)),
        Case("conv 3x3", large, lambda x: conv2d_resample(x, w, padding=1), product),
        Case("conv 3x3 up 2", large, lambda x: conv2d_resample(x, w, f4, up=2, padding=1), product),
        Case(
            "conv 3x3 down 2", large, lambda x: conv2d_resample(x, wide, f4, down=2, padding=1), product // 2
        ),
        Case("modulated conv 3x3", large, lambda x: modulated_conv2d(x, w, s, padding=1), product),
    ]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    device = resolve_device(parser.parse_args().device)
    set_precision(device, tf32=False)  # as when the floor is measured
    bandwidth, rate = copy_bandwidth(device), product_rate(device)
    print(f"{machine(device)}; copies {bandwidth / 1e6:.1f} GB/s, products {rate / 1e6:.0f} GFLOP/s")
    print(
        f"{'operation':26} {'layout':6} {'pass':8} {'native':>8} {'reference':>9} {'ratio':>6} {'floor':>6}"
    )
    for case in cases(device, many=8 if device.type == "cuda" else 1):
        for layout, memory_format in _LAYOUTS.items():
            x = torch.randn(case.shape, device=device).to(memory_format=memory_format)
            for direction, run in passes(case, x).items():
                times = measured(run, device)
                moved = (x.numel() + case.run(x).numel()) * x.element_size()
                floor = max(moved / bandwidth, 2 * case.products / rate)
                native, reference = times["native"], times["reference"]
                print(
                    f"{case.name:26} {layout:6} {direction:8} {native:8.2f} {reference:9.2f} "
                    f"{reference / native:6.2f} {floor:6.2f}"
                )


def measured(run: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Median milliseconds by backend."""
    runs = {name: with_backend(name, run) for name in ("native", "reference")}
    if device.type != "cuda":
        return interleaved(runs, device, repetitions=9)
    replays = {name: captured(each, _REPLAYED) for name, each in runs.items()}
    return {name: taken / _REPLAYED for name, taken in interleaved(replays, device, repetitions=9).items()}


def passes(case: Case, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    """The forward pass without gradients, and the forward pass with the gradient with respect to x."""

    def forward() -> object:
        with torch.no_grad():
            return case.run(x)

    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()

    def both() -> object:
        y = case.run(leaf)
        return torch.autograd.grad(y, leaf, torch.ones_like(y))

    return {"forward": forward, "and back": both}


if __name__ == "__main__":
    main()
