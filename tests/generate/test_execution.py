"""The canonical execution: an image is the same to the bit alone, in any batch, and in any order."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.configs import UserError
from morphoscope.generate.execution import execution_id, map_latents
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.rendering import render
from morphoscope.ops import backend
from morphoscope.ops.dispatch import bfloat16_by, native_runs
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.precision import convolutions_in

POOL = 20
LAYERS = {"whole panels": {}, "odd channels": {"channel_max": 11}, "resnet": {"architecture": "resnet"}}


def build(w_dim: int = 24, **synthesis) -> Generator:
    """A generator at 32 px, so that both algorithms of native convolutions occur, with noise and biases."""
    torch.manual_seed(1)
    keywords = {"channel_base": 2048, "channel_max": 64, **synthesis}
    G = Generator(16, 3, w_dim, 32, 3, {"num_layers": 3, "stages": [[1, 0, 2]]}, keywords)
    for name, parameter in G.named_parameters():
        if name.endswith(("bias", "noise_strength")):
            torch.nn.init.normal_(parameter, std=0.2)
    return G.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=[(kind, way) for kind in LAYERS for way in ("native", "reference")])
def pool(request):
    """A generator in a backend, latents and labels for it, and their images one at a time."""
    kind, way = request.param
    if way == "native" and not native_runs("cpu", None):
        pytest.skip("no native kernels can be built here")
    with backend(way):
        G = build(**LAYERS[kind])
        z, c = torch.randn(POOL, G.z_dim), torch.rand(POOL, G.c_dim)
        c /= c.sum(dim=1, keepdim=True)
        ws = torch.cat([map_latents(G, z[i : i + 1], c[i : i + 1]) for i in range(POOL)])
        images = np.concatenate([render(G.synthesis, ws[i : i + 1]) for i in range(POOL)])
        yield G, z, c, ws, images


@settings(max_examples=12, deadline=None)
@given(chosen=st.lists(st.integers(0, POOL - 1), min_size=0, max_size=POOL + 3))
def test_an_image_does_not_depend_on_its_neighbours_or_its_place(pool, chosen):
    G, z, c, ws, images = pool
    found = map_latents(G, z[chosen], c[chosen])
    assert torch.equal(found, ws[chosen])
    np.testing.assert_array_equal(render(G.synthesis, found), images[chosen])


def test_neighbours_with_extreme_codes_change_nothing(pool):
    G, _, _, ws, images = pool
    mixed = torch.stack([ws[0] * 1e4, ws[1], torch.zeros_like(ws[0])])
    np.testing.assert_array_equal(render(G.synthesis, mixed)[1], images[1])


@pytest.mark.skipif(not native_runs("cpu", None), reason="no native kernels can be built here")
def test_native_images_do_not_depend_on_the_number_of_threads():
    G = build(**LAYERS["whole panels"])
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            z = torch.ones(17, G.z_dim).cumsum(dim=0)
            ws = map_latents(G, z, torch.eye(3)[torch.arange(17) % 3])
            found.append((ws, render(G.synthesis, ws)))
    finally:
        torch.set_num_threads(before)
    for ws, images in found[1:]:
        assert torch.equal(ws, found[0][0])
        np.testing.assert_array_equal(images, found[0][1])


def test_native_and_reference_differ_by_one_grey_level_at_most(pool):
    G, _, _, ws, images = pool
    for other in ("auto", "reference"):
        with backend(other):
            assert np.abs(render(G.synthesis, ws).astype(int) - images).max() <= 1


def test_codes_that_are_expanded_views_give_the_same_image(pool):
    G, _, _, ws, images = pool
    np.testing.assert_array_equal(render(G.synthesis, ws[4, :1].expand(2, G.num_ws, -1)), images[[4, 4]])


def test_the_id_names_backend_precision_and_torch():
    G = build()
    with backend("reference"):
        reference = execution_id(G.synthesis)
    assert f"reference-{torch.get_num_threads()}-threads float32 torch-2" in reference
    if native_runs("cpu", None):
        assert " native float32 torch-2" in execution_id(G.synthesis)
        assert execution_id(G.synthesis) != reference


def test_the_id_names_bfloat16_only_where_it_is_computed():
    G = build()
    with convolutions_in("bfloat16"), bfloat16_by(Instructions.EMULATED_AVX512_BF16):
        with backend("reference"):
            assert " float32 torch-2" in execution_id(G.synthesis)
        if native_runs("cpu", None):
            assert " native bfloat16-emulated_avx512_bf16 torch-2" in execution_id(G.synthesis)


def test_no_codes_give_no_images():
    G = build()
    assert render(G.synthesis, torch.zeros(0, G.num_ws, G.w_dim)).shape == (0, 32, 32, 3)


def test_codes_of_another_kind_are_refused():
    G = build()
    for codes in (torch.zeros(1, 2, G.w_dim), "codes", np.zeros((1, G.num_ws, G.w_dim))):
        with pytest.raises(UserError, match=r"codes|ws"):
            render(G.synthesis, codes)
