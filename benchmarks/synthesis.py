"""One image of the full-size 256 px generator: native operations against their reference twins.

    python benchmarks/synthesis.py [--device cuda] [--resolution 256] [--batch 1]

The weights are random (the arithmetic is the same as for a trained network). Times are medians of interleaved
runs. The floor is the time that direct convolutions would take at the rate of a large matrix product;
Winograd's algorithm multiplies less and may fall below it. PSNR is relative to the range of the reference's
image.
"""

import argparse
from collections.abc import Callable

import torch
from timing import captured, interleaved, machine, product_rate

from morphoscope.generate.networks.synthesis import SynthesisNetwork
from morphoscope.ops import backend
from morphoscope.runtime.torch_devices import resolve_device, set_precision


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    device = resolve_device(options.device)
    set_precision(device, tf32=False)  # as when the floor is measured
    network = build(options.resolution).to(device)
    ws = torch.randn(options.batch, network.num_ws, network.w_dim, device=device)
    runs = executions(network, ws)
    images = {name: run() for name, run in runs.items()}
    times = interleaved(runs, device)
    floor = 2 * convolution_products(network) * options.batch / product_rate(device)
    print(f"{machine(device)}; {options.resolution} px, batch {options.batch}; floor {floor:.0f} ms")
    for name, taken in times.items():
        image = images[name].float()
        difference = (image - images["reference"]).abs().max().item()
        print(
            f"{name:18} {taken:7.1f} ms, {taken / floor:4.2f} x floor, "
            f"speed {times['reference'] / taken:4.2f}, difference {difference:.1e}, "
            f"PSNR {psnr(image, images['reference']):.0f} dB"
        )


def build(resolution: int) -> SynthesisNetwork:
    """A network of the published size (channel_base 16384, at most 512 channels), with noise strength 0.1."""
    torch.manual_seed(0)
    network = SynthesisNetwork(512, resolution, 3, channel_base=16384, channel_max=512)
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.1)
    return network.eval().requires_grad_(False)


def executions(network: SynthesisNetwork, ws: torch.Tensor) -> dict[str, Callable[[], torch.Tensor]]:
    """The implementations to compare, by name."""

    def plain() -> torch.Tensor:
        return network(ws, noise_mode="const")

    def reference() -> torch.Tensor:
        with backend("reference"):
            return plain()

    def bfloat16() -> torch.Tensor:
        with torch.autocast(ws.device.type, dtype=torch.bfloat16):
            return plain()

    runs = {
        "reference": reference,
        "native": plain,
        "native bfloat16": bfloat16,
    }
    if ws.device.type == "cuda":
        runs["native, CUDA graph"] = captured(plain)
    return runs


def convolution_products(network: SynthesisNetwork) -> int:
    """Number of multiplications in the 3x3 convolutions of one image, computed directly."""
    total = 0
    for resolution in network.block_resolutions:
        block = getattr(network, f"b{resolution}")
        for name, pixels in (("conv0", (resolution // 2) ** 2), ("conv1", resolution**2)):
            if hasattr(block, name):
                total += getattr(block, name).weight.numel() * pixels
    return total


def psnr(image: torch.Tensor, reference: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB, relative to the range of the reference."""
    error = (image - reference).square().mean()
    span = reference.max() - reference.min()
    return float(10 * torch.log10(span**2 / error)) if error > 0 else float("inf")


if __name__ == "__main__":
    main()
