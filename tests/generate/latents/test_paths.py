"""Paths between seeds, conditions, stages and photographs."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.configs import UserError
from morphoscope.generate.latents import End, LatentPath, Move, paths
from morphoscope.generate.latents.paths import spherical, with_tensors
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.rendering import render
from morphoscope.ops.dispatch import bfloat16_by
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.precision import bfloat16_chosen

WAYS = ("label", "w", "both")
EARLY, LATE = {"early": 1.0}, {"late": 1.0}


@pytest.mark.parametrize("second", [3, 4])
@pytest.mark.parametrize(("way", "interpolation"), list(itertools.product(WAYS, ("linear", "spherical"))))
def test_ends_are_the_samples_themselves(model, way, interpolation, second):
    frames = LatentPath(End(3, EARLY), End(second, LATE), way, interpolation).frames(model, [0, 0.5, 1])
    np.testing.assert_array_equal(frames[0], model.sample("early", [3])[0])
    np.testing.assert_allclose(frames[2].astype(int), model.sample("late", [second])[0].astype(int), atol=1)
    assert (frames[1] != frames[0]).any()


def test_label_path_of_one_seed_is_the_models_own_morph(model):
    frames = LatentPath(End(3, EARLY), End(3, LATE)).frames(model, np.linspace(0, 1, 5))
    np.testing.assert_array_equal(frames, model.morph("early", "late", 3, 5))


@pytest.mark.parametrize("way", ["label", "both"])
@pytest.mark.parametrize("psi", [0.0, 0.7, 1.0])
def test_middle_of_the_ends_is_the_middle_stage_exactly(model, way, psi):
    path = LatentPath(End(3, EARLY), End(3, LATE), way, psi=psi)
    np.testing.assert_array_equal(path.frames(model, [0.5])[0], model.sample("middle", [3], psi)[0])


def test_truncation_to_the_global_mean(model):
    codes = LatentPath(End(3, EARLY), End(3, LATE), psi=0.0, centre="global").codes(model, [0, 0.3, 1])
    torch.testing.assert_close(codes, model.G.mapping.w_avg.expand_as(codes))


def test_path_between_two_seeds_of_one_condition_by_z_stays_on_the_sphere():
    a, b = torch.tensor([[3.0, 0, 0]]), torch.tensor([[0, 5.0, 0]])
    found = spherical(a, b, torch.tensor([[0.0], [0.5], [1.0]]))
    torch.testing.assert_close(found.norm(dim=1), torch.tensor([3.0, 4.0, 5.0]))
    torch.testing.assert_close(found[1], torch.tensor([4.0, 4.0, 0]) / 2**0.5)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_spherical_interpolation_with_itself_or_nothing_is_linear(seed, t):
    a = torch.randn([2, 4], generator=torch.Generator().manual_seed(seed))
    ratio = torch.tensor([[t]], dtype=torch.float32)
    torch.testing.assert_close(spherical(a, a, ratio), a)
    torch.testing.assert_close(spherical(a, torch.zeros_like(a), ratio), (1 - ratio) * a)


def test_spherical_path_keeps_the_distance_from_the_centre(model):
    """Between two seeds of one condition; a line comes nearer to the centre."""
    ends = End(3, EARLY), End(4, EARLY)
    distances = [
        (LatentPath(*ends, "w", way).codes(model, [0, 0.5, 1])[:, 0] - model.class_mean("early")).norm(dim=1)
        for way in ("linear", "spherical")
    ]
    assert distances[1][1] == pytest.approx(float((distances[1][0] + distances[1][2]) / 2), rel=1e-4)
    assert distances[0][1] < 0.98 * distances[1][1]


def test_photograph_at_its_own_end_is_its_projection_whatever_psi(model, photograph):
    own = render(with_tensors(model.G.synthesis, dict(photograph.synthesis)), photograph.codes[None])
    for way in WAYS:
        frames = LatentPath(End(photograph, EARLY), End(photograph, LATE), way, psi=0.3).frames(model, [0, 1])
        np.testing.assert_array_equal(frames[:1], own)
        assert (frames[1] != own[0]).any()


def test_photograph_moves_by_the_difference_of_the_conditions_means(model, photograph):
    codes = LatentPath(End(photograph, EARLY), End(photograph, LATE)).codes(model, [1])
    moved = model.class_mean("late") - model.class_mean("early")
    torch.testing.assert_close(codes[0], photograph.codes + moved)


def test_photograph_to_a_sample_ends_with_the_generators_own_weights(model, photograph):
    frames = LatentPath(End(photograph, EARLY), End(4, LATE), "w").frames(model, [0, 0.5, 1])
    sample = model.sample("late", [4])[0]
    np.testing.assert_allclose(frames[2].astype(int), sample.astype(int), atol=1)


def test_photograph_and_a_seed_have_no_path_by_label(model, photograph):
    with pytest.raises(UserError, match="choose the way w or both"):
        LatentPath(End(photograph, EARLY), End(4, LATE)).codes(model, [0])


def test_moves_are_added_at_their_end_only(model):
    step = torch.ones(model.G.num_ws, 8)
    plain, moved = End(3, EARLY), End(3, EARLY, (Move("up", 1.0, step),))
    codes = LatentPath(plain, moved).codes(model, [0, 0.5, 1])
    torch.testing.assert_close(codes - codes[:1], torch.tensor([0, 0.5, 1])[:, None, None] * step)


def test_frames_are_generated_in_the_precision_of_the_model(model, monkeypatch):
    rounded = GeneratorModel(model.G, model.class_means, model.metadata, model.digest, "bfloat16")
    seen = []

    def observed(*given):
        seen.append(bfloat16_chosen())
        return render(*given)

    monkeypatch.setattr(paths, "render", observed)
    with bfloat16_by(Instructions.EMULATED_AMX):
        for each in (model, rounded):
            LatentPath(End(3, EARLY), End(3, LATE)).frames(each, [0.5])
    assert seen == [None, Instructions.EMULATED_AMX]
