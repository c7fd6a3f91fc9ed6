"""What runs where, and whether it computes what its reference twin does."""

import platform
from collections.abc import Callable
from dataclasses import dataclass

import torch

from morphoscope.ops.dispatch import backend
from morphoscope.ops.filters import setup_filter
from morphoscope.ops.grid_sample import grid_sample, grid_sample_reference
from morphoscope.ops.modulated_conv2d import modulated_conv2d
from morphoscope.ops.upfirdn2d import upsample2d


@dataclass(frozen=True)
class OpReport:
    """One operation on one device: how it is executed, and its largest difference from the reference."""

    op: str
    device: str
    path: str
    difference: float


@dataclass(frozen=True)
class Report:
    """Versions and devices, as (name, value) pairs, and one line an operation and device."""

    facts: list[tuple[str, str]]
    ops: list[OpReport]


def doctor() -> Report:
    """Look at this machine and test every operation that has more than one execution."""
    devices = [torch.device("cpu")]
    facts = [
        ("Python", platform.python_version()),
        ("torch", torch.__version__),
        ("CPU threads", str(torch.get_num_threads())),
        ("CPU capability", torch.backends.cpu.get_cpu_capability()),
    ]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts.append((f"cuda:{index}", torch.cuda.get_device_name(index)))
            devices.append(torch.device("cuda", index))
    else:
        facts.append(("CUDA", "no usable GPU; everything runs on the CPU"))
    return Report(facts, [check(device) for device in devices for check in _CHECKS])


def _modulated_conv2d(device: torch.device) -> OpReport:
    generator = torch.Generator().manual_seed(0)
    x, w, s = (
        torch.randn(shape, generator=generator).to(device) for shape in [(2, 8, 16, 16), (8, 8, 3, 3), (2, 8)]
    )
    f = setup_filter([1, 3, 3, 1], device=device)

    def run() -> torch.Tensor:
        return modulated_conv2d(x, w, s, f, up=2, padding=1, weight_is_correlated=False)

    return _compare("modulated_conv2d", device, "torch, scaled activations", run, _in_reference(run))


def _grid_sample(device: torch.device) -> OpReport:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn([2, 3, 9, 9], generator=generator).to(device)
    grid = (torch.rand([2, 7, 7, 2], generator=generator) * 2.4 - 1.2).to(device)
    return _compare(
        "grid_sample",
        device,
        "torch, twice differentiable",
        lambda: grid_sample(x, grid),
        lambda: grid_sample_reference(x, grid),
    )


def _upfirdn2d(device: torch.device) -> OpReport:
    """The separable passes against the same filter as one 2-D pass."""
    x = torch.randn([2, 3, 16, 16], generator=torch.Generator().manual_seed(0)).to(device)
    taps = torch.arange(1.0, 13)
    one_pass = setup_filter(taps, separable=False, device=device)
    return _compare(
        "upfirdn2d",
        device,
        "torch, separable passes",
        lambda: upsample2d(x, setup_filter(taps, device=device)),
        lambda: upsample2d(x, one_pass),
    )


def _in_reference(run: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    def reference() -> torch.Tensor:
        with backend("reference"):
            return run()

    return reference


def _compare(
    op: str,
    device: torch.device,
    path: str,
    run: Callable[[], torch.Tensor],
    reference: Callable[[], torch.Tensor],
) -> OpReport:
    difference = (run() - reference()).abs().max().item()
    return OpReport(op, str(device), path, difference)


_CHECKS = (_upfirdn2d, _modulated_conv2d, _grid_sample)
