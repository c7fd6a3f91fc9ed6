"""A trained generator: seeds, labels, truncation, morphs, and unusable files."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.configs import UserError
from morphoscope.generate import load
from morphoscope.generate.model import draw_latents
from morphoscope.generate.rendering import to_uint8
from morphoscope.ops.dispatch import bfloat16_by, native_runs
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.runtime.torch_checkpoints import write_checkpoint


@pytest.fixture(scope="session")
def model(tiny_snapshot):
    return load(tiny_snapshot)


def test_latents_are_those_of_the_ecosystem():
    expected = np.random.RandomState(42).randn(1, 5).astype(np.float32)
    np.testing.assert_array_equal(draw_latents([42], 5).numpy(), expected)


def test_sample_is_uint8_and_the_same_for_the_same_seed(model):
    images = model.sample("dark", [0, 1, 0])
    assert images.shape == (3, 16, 16, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], images[2])


def test_ends_of_a_morph_are_the_conditions_own_images(model):
    frames = model.morph("dark", "pale", seed=3, steps=5)
    assert frames.shape == (5, 16, 16, 3)
    np.testing.assert_array_equal(frames[0], model.sample("dark", [3])[0])
    np.testing.assert_array_equal(frames[-1], model.sample("pale", [3])[0])
    middle = model.sample({"dark": 0.5, "pale": 0.5}, [3])[0]
    np.testing.assert_array_equal(frames[2], middle)


def test_full_truncation_gives_the_mean_of_the_condition_for_every_seed(model):
    images = model.sample("pale", [0, 9], psi=0.0)
    np.testing.assert_array_equal(images[0], images[1])
    ws = model.class_means[model.conditions.index("pale")].expand(1, model.G.num_ws, -1)
    np.testing.assert_array_equal(images[0], to_uint8(model.G.synthesis(ws, "const"))[0])


def test_images_in_bfloat16_are_close_to_those_in_float32():
    """The bundled model, by an emulated instruction: at least 38 dB for each condition."""
    if not native_runs("cpu", None):
        pytest.skip("no native kernels can be built here")
    exact, rounded = (load(GENERATOR, precision=precision) for precision in ("float32", "bfloat16"))
    assert (exact.precision, rounded.precision) == ("float32", "bfloat16")
    with bfloat16_by(Instructions.EMULATED_AVX512_BF16):
        for condition in exact.conditions[:2]:
            difference = rounded.sample(condition, [0]).astype(float) - exact.sample(condition, [0])
            assert 38 < 10 * np.log10(255**2 / np.square(difference).mean()) < 70


def test_an_unknown_precision_is_refused_before_the_file_is_read(tmp_path):
    with pytest.raises(UserError, match="precision takes one of float32, bfloat16, not str 'half'"):
        load(tmp_path / "absent.safetensors", precision="half")


@given(st.floats(0, 1))
def test_label_of_a_mixture(model, share):
    label = model.label({"dark": share, "pale": 1 - share})
    assert label.sum() == pytest.approx(1)
    assert label[model.conditions.index("dark")] == pytest.approx(share)


@pytest.mark.parametrize("condition", ["psoriasis", {"psoriasis": 1.0}])
def test_unknown_condition_lists_the_known_ones(model, condition):
    with pytest.raises(UserError, match="dark, pale"):
        model.label(condition)


@pytest.mark.parametrize("shares", [[0.5, 0.6], [1.5, -0.5], [1.0]])
def test_shares_off_the_simplex_are_refused(model, shares):
    with pytest.raises(UserError, match="with sum 1"):
        model.label(shares)


def test_ratio_out_of_range_is_refused(model):
    with pytest.raises(UserError, match="from 0 to 1"):
        model.morph("dark", "pale", 0, [0.0, 1.2])


def test_seed_out_of_range_is_refused(model):
    with pytest.raises(UserError, match="4294967295"):
        model.sample("dark", [-1])


def test_metadata_records_what_the_model_was_trained_on(model, tiny_cohort):
    assert model.metadata.trained_on_folds == ["0", "1"]
    assert model.metadata.cohort_digest == tiny_cohort.digest
    assert model.metadata.phantom is False
    assert len(model.digest) == 16


def test_file_that_is_not_a_checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("hello")
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load(path)


def test_checkpoint_cut_in_half(tiny_snapshot, tmp_path):
    content = tiny_snapshot.read_bytes()
    path = tmp_path / "half.safetensors"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"half\.safetensors"):
        load(path)


def test_checkpoint_of_another_kind(tmp_path):
    path = tmp_path / "other.safetensors"
    write_checkpoint(path, "ensemble", {"x": torch.zeros(1)}, {})
    with pytest.raises(UserError, match="kind 'generator'"):
        load(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "nothing.safetensors")
