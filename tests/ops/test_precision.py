"""Autocast on a CPU with and without bfloat16 arithmetic."""

import pytest
import torch

from morphoscope.generate.networks.synthesis import SynthesisNetwork
from morphoscope.ops.precision import bfloat16_runs, without_emulation


def pretend(monkeypatch: pytest.MonkeyPatch, bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": bfloat16})


@pytest.mark.parametrize("bfloat16", [False, True])
def test_bfloat16_is_used_if_the_cpu_has_it(monkeypatch, bfloat16) -> None:
    pretend(monkeypatch, bfloat16)
    assert not bfloat16_runs()
    a = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert bfloat16_runs() == bfloat16
        with without_emulation("cpu"):
            assert (a @ a).dtype == (torch.bfloat16 if bfloat16 else torch.float32)
        assert (a @ a).dtype == torch.bfloat16


def test_autocast_changes_nothing_where_it_would_be_emulated(monkeypatch) -> None:
    pretend(monkeypatch, bfloat16=False)
    network = SynthesisNetwork(8, 16, 3, channel_base=512, channel_max=32).eval().requires_grad_(False)
    ws = torch.randn(2, network.num_ws, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = network(ws, noise_mode="const")
    assert torch.equal(image, network(ws, noise_mode="const"))


def test_a_network_under_bfloat16_stays_close(monkeypatch) -> None:
    pretend(monkeypatch, bfloat16=True)
    network = SynthesisNetwork(8, 16, 3, channel_base=512, channel_max=32).eval().requires_grad_(False)
    ws = torch.randn(2, network.num_ws, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = network(ws, noise_mode="const")
    exact = network(ws, noise_mode="const")
    assert not torch.equal(image, exact)
    assert (image - exact).abs().max() < 0.05 * (exact.max() - exact.min())
