"""The report on this machine, and the self-test against the reference."""

import importlib
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from morphoscope.ops import doctor
from morphoscope.ops.dispatch import bfloat16_instructions, reference_chosen
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.ops.self_test import TOLERANCE, OpReport, self_test

self_test_module = importlib.import_module("morphoscope.ops.self_test")
doctor_module = importlib.import_module(
    "morphoscope.ops.doctor"
)  # morphoscope.ops exports the function under this name
CPU = torch.device("cpu")
OPS = {
    "bias_act", "upfirdn2d", "grid_sample", "epilogue",
    "conv2d_resample", "modulated_conv2d", "modulated_layer",
}  # fmt: skip
IN_BFLOAT16 = {"modulated_layer in bfloat16"}


def test_this_machine_and_every_operation() -> None:
    report = doctor()
    facts = dict(report.facts)
    assert facts["torch"].startswith(torch.__version__)
    assert facts["Python"].startswith("3.")
    devices = {device.device: device for device in report.devices}
    assert set(devices) >= {"cpu"}
    assert ("cuda" in devices) == (not torch.cuda.is_available())
    cpu = devices["cpu"]
    if cpu.path == "native":
        assert cpu.file is not None
        assert cpu.file.exists()
    else:
        assert cpu.fix
    found = bfloat16_instructions()
    has = not isinstance(found, Unavailable)
    assert facts["bfloat16 on the CPU"] == (f"by {found.label}" if has else f"no: {found.reason}")
    assert {row.op for row in report.ops if row.device == "cpu"} == OPS | (IN_BFLOAT16 if has else set())
    assert all(row.passed for row in report.ops), report.ops


def test_instructions_for_bfloat16_are_compared_with_their_emulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulation stands for the instructions of a CPU that has them."""
    monkeypatch.setattr(self_test_module, "bfloat16_instructions", lambda: Instructions.EMULATED_AMX)
    rows = {row.op: row for row in self_test(CPU)}
    assert set(rows) == OPS | IN_BFLOAT16
    assert all(row.passed for row in rows.values())
    assert rows["modulated_layer in bfloat16"].kernels == ("modulated_layer",)


def test_a_wrong_result_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    right = self_test_module.modulated_conv2d

    def wrong(*args: torch.Tensor, **options: Any) -> torch.Tensor:
        y: torch.Tensor = right(*args, **options)
        return y if reference_chosen() else y * 1.5

    monkeypatch.setattr(self_test_module, "modulated_conv2d", wrong)
    rows = {row.op: row for row in self_test(CPU)}
    assert rows["modulated_conv2d"].difference == pytest.approx(0.5, abs=1e-4)
    assert rows["modulated_conv2d"].gradient_difference == pytest.approx(0.5, abs=1e-3)
    assert {row.op for row in rows.values() if not row.passed} == {"modulated_conv2d"}


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        return dy * 1.1


def test_a_wrong_gradient_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    right = self_test_module.grid_sample

    def wrong(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = right(x, grid)
        return y if reference_chosen() else WrongGradient.apply(y)  # type: ignore[no-any-return]

    monkeypatch.setattr(self_test_module, "grid_sample", wrong)
    row = next(row for row in self_test(CPU) if row.op == "grid_sample")
    assert row.difference < TOLERANCE
    assert row.gradient_difference == pytest.approx(0.1, abs=1e-3)
    assert not row.passed


@pytest.mark.parametrize("error", [RuntimeError("launch failed\nmore lines"), AssertionError("refuses")])
def test_an_error_is_reported_and_not_raised(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*args: Any, **options: Any) -> torch.Tensor:
        raise error

    monkeypatch.setattr(self_test_module, "bias_act", broken)
    row = next(row for row in self_test(CPU) if row.op == "bias_act")
    assert row.error == str(error).splitlines()[0]
    assert not row.passed


def test_nan_does_not_pass() -> None:
    good = OpReport("op", "cpu", difference=0.0, gradient_difference=0.0)
    assert good.passed
    assert not OpReport("op", "cpu", difference=math.nan).passed
    assert not OpReport("op", "cpu", difference=0.0, gradient_difference=math.nan).passed
    nan, one = torch.tensor([math.nan]), torch.ones(1)
    for ours in ([nan, one], [one, nan]):
        assert math.isnan(self_test_module._difference(ours, [one, one]))


def test_missing_kernels_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def kernels(*args: Any, **options: Any) -> Unavailable:
        return Unavailable("no compiler", "install one")

    monkeypatch.setattr(doctor_module, "kernels", kernels)
    monkeypatch.setattr(doctor_module, "self_test", lambda device: [])
    cpu = doctor().devices[0]
    assert (cpu.path, cpu.detail, cpu.fix, cpu.file) == ("reference", "no compiler", "install one", None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize(
    ("cuda", "load", "says"),
    [
        (None, lambda name: None, "without CUDA"),
        ("13.0", lambda name: None, "no GPU"),
        ("13.0", lambda name: open("/nowhere"), "no NVIDIA driver"),  # noqa: PTH123, SIM115 (an OSError)
    ],
)
def test_what_a_gpu_lacks(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, load: Callable[[str], object], says: str
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr("ctypes.CDLL", load)
    report = doctor_module._absent_gpu()
    assert report.path == "absent"
    assert says in report.detail
    assert report.fix


def test_the_random_state_does_not_change() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    doctor()
    assert torch.equal(torch.get_rng_state(), before)
