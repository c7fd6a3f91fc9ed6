"""Generator, path lengths, discriminator and R1 against the shared parity vectors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from morphoscope.generate import Discriminator, Generator
from morphoscope.generate.training.losses import path_lengths

PARITY = Path(__file__).parents[2].parent / "shared" / "parity"
GENERATORS = ["generator_skip32_c7", "generator_resnet16_c3", "generator_orig16_c0_grey"]
DISCRIMINATORS = ["discriminator_resnet32_c7", "discriminator_skip16_c0", "discriminator_orig16_c3"]


def load(name, network):
    """The network with the weights of `<name>.npz`, and all arrays of that file as tensors."""
    path = PARITY / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"needs ../shared/parity/{path.name}")
    arrays = np.load(path)
    built = network(**json.loads(bytes(arrays["cases"]))[0])
    tensors = {key: torch.from_numpy(arrays[key]) for key in arrays if key != "cases"}
    built.load_state_dict(
        {k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")}, strict=True
    )
    return built, tensors


def assert_close(actual, expected, tolerance=1e-4):
    scale = max((expected.max() - expected.min()).item(), expected.abs().max().item())
    assert (actual - expected).abs().max().item() <= tolerance * scale


@pytest.mark.parametrize("name", GENERATORS)
def test_generator(name):
    G, t = load(name, Generator)
    ws = G.mapping(t["z"], t["c"])
    assert_close(ws, t["ws"])
    assert_close(G.mapping(t["z"], t["c"], truncation_psi=0.7), t["ws_psi07"])
    assert_close(G.mapping(t["z"], t["c"], truncation_psi=0.5, truncation_cutoff=3), t["ws_psi05_cut3"])
    assert_close(G.synthesis(ws, noise_mode="const"), t["img_const"])
    assert_close(G.synthesis(ws, noise_mode="none"), t["img_none"])


@pytest.mark.parametrize("name", GENERATORS)
def test_path_lengths(name):
    G, t = load(name, Generator)
    ws = G.mapping(t["z"], t["c"])
    img = G.synthesis(ws, noise_mode="const")
    assert_close(path_lengths(img, ws, t["pl_noise"]), t["pl_lengths"])


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminator(name):
    D, t = load(name, Discriminator)
    img = t["img"].requires_grad_()
    logits = D(img, t["c"])
    assert_close(logits, t["logits"])
    (dimg,) = torch.autograd.grad(logits.sum(), img, create_graph=True)
    assert_close(dimg, t["dimg"])
    r1 = dimg.square().sum(dim=[1, 2, 3])
    assert_close(r1, t["r1"])
    first_conv0 = getattr(D, f"b{D.img_resolution}").conv0.weight
    second = torch.autograd.grad(r1.sum(), [D.b4.out.weight, first_conv0])
    assert_close(second[0], t["dr1_d_b4_out_weight"])
    assert_close(second[1], t["dr1_d_first_conv0_weight"])
