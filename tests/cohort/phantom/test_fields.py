"""Noise, edges and displacement: of the promised scale, and the same at every size."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.cohort.phantom.fields import displaced, inside, smooth_noise


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), cells=st.integers(1, 40))
def test_noise_is_finite_and_of_unit_scale(seed: int, cells: int) -> None:
    field = smooth_noise(np.random.default_rng(seed), cells, 48)
    assert field.shape == (48, 48) and field.dtype == np.float32
    assert np.isfinite(field).all() and np.abs(field).max() < 15


def test_noise_has_zero_mean_and_unit_variance() -> None:
    fields = [smooth_noise(np.random.default_rng(seed), 12, 64) for seed in range(40)]
    assert np.mean(fields) == pytest.approx(0, abs=0.05)
    assert np.std(fields) == pytest.approx(1, abs=0.05)


def test_noise_is_the_same_at_every_size() -> None:
    small, large = (smooth_noise(np.random.default_rng(5), 4, size) for size in (64, 256))
    np.testing.assert_allclose(cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA), small, atol=0.01)


def test_noise_is_coarser_along_the_axis_with_fewer_cells() -> None:
    field = smooth_noise(np.random.default_rng(1), 24, 128, columns=3)
    assert np.abs(np.diff(field, axis=0)).mean() > 4 * np.abs(np.diff(field, axis=1)).mean()


def test_edges_are_soft_and_monotonic() -> None:
    weight = inside(np.linspace(-0.2, 0.2, 41, dtype=np.float32), 0.1)
    assert weight[0] == 1 and weight[-1] == 0
    assert weight[20] == pytest.approx(0.5, abs=1e-6)
    assert (np.diff(weight) <= 0).all()


def test_a_displacement_moves_the_field_by_image_widths() -> None:
    field = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    nothing, quarter = np.zeros((40, 40), np.float32), np.full((40, 40), 0.25, np.float32)
    np.testing.assert_allclose(displaced(field, nothing, nothing), field, atol=1e-6)
    np.testing.assert_allclose(displaced(field, quarter, nothing)[:, :30], field[:, 10:], atol=1e-5)
