"""Autocast on a CPU with and without instructions for bfloat16."""

import logging

import pytest
import torch

from morphoscope.generate.networks.synthesis import SynthesisNetwork
from morphoscope.ops import backend, precision
from morphoscope.ops.dispatch import bfloat16_by, native_runs
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.ops.precision import autocast_of_convolutions, bfloat16_runs, convolutions_in

if not native_runs("cpu", None):
    pytest.skip("no native kernels can be built here", allow_module_level=True)


def network() -> tuple[SynthesisNetwork, torch.Tensor]:
    torch.manual_seed(0)
    made = SynthesisNetwork(8, 16, 3, channel_base=512, channel_max=32).eval().requires_grad_(False)
    return made, torch.randn(2, made.num_ws, 8)


def test_autocast_applies_to_the_convolutions_only() -> None:
    a = torch.ones(2, 2)
    with bfloat16_by(Instructions.EMULATED_AMX):
        assert not bfloat16_runs()
        with torch.autocast("cpu", dtype=torch.float16):
            assert not bfloat16_runs()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert bfloat16_runs()
            with autocast_of_convolutions("cpu"):
                assert bfloat16_runs()
                assert (a @ a).dtype == torch.float32
            assert (a @ a).dtype == torch.bfloat16


def test_autocast_changes_nothing_where_it_would_be_emulated(monkeypatch) -> None:
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: Unavailable("none", "none"))
    G, ws = network()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = G(ws, noise_mode="const")
    assert torch.equal(image, G(ws, noise_mode="const"))


def test_the_reference_computes_in_float32_and_says_so_once(caplog) -> None:
    precision._announce.cache_clear()
    with bfloat16_by(Instructions.EMULATED_AMX), convolutions_in("bfloat16"):
        with caplog.at_level(logging.WARNING), backend("reference"):
            assert not bfloat16_runs()
            assert not bfloat16_runs()
        assert bfloat16_runs()
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 1
    assert "bfloat16 was requested, but the reference implementation was chosen" in caplog.text


def test_a_network_under_autocast_is_the_network_with_convolutions_in_bfloat16() -> None:
    G, ws = network()
    exact = G(ws, noise_mode="const")
    with bfloat16_by(Instructions.EMULATED_AMX):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image = G(ws, noise_mode="const")
        with convolutions_in("bfloat16"):
            assert torch.equal(G(ws, noise_mode="const"), image)
    assert not torch.equal(image, exact)
    assert (image - exact).abs().max() < 0.01 * (exact.max() - exact.min())
