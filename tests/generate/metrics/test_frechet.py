"""Fréchet distance: known values, few images in many dimensions, and statistics in batches."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.generate.metrics import FeatureStatistics, frechet_distance


def with_diagonal_covariance(mean, sds):
    """Features with exactly this sample mean and these standard deviations: two images per dimension."""
    steps = np.diag(sds) * np.sqrt((2 * len(sds) - 1) / 2)
    return mean + np.concatenate([steps, -steps])


def distance(a, b):
    return frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(b))


def test_closed_form_of_diagonal_gaussians():
    means = np.array([1.0, 0.0, -2.0, 5.0]), np.array([0.5, 3.0, -2.0, 4.0])
    sds = np.array([1.0, 2.0, 0.0, 0.1]), np.array([3.0, 2.0, 1.0, 0.3])
    expected = np.square(means[0] - means[1]).sum() + np.square(sds[0] - sds[1]).sum()
    found = distance(*(with_diagonal_covariance(*both) for both in zip(means, sds, strict=True)))
    assert found == pytest.approx(expected, rel=1e-12)


def test_equals_the_formula_with_a_matrix_root_where_covariances_have_full_rank():
    random = np.random.default_rng(0)
    a = random.normal(size=(60, 6)) @ random.normal(size=(6, 6)) + 1
    b = random.normal(size=(80, 6)) @ random.normal(size=(6, 6))
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * root)
    assert distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_a_set_has_no_distance_from_itself_despite_a_covariance_of_low_rank():
    features = np.random.default_rng(0).gamma(0.3, size=(100, 1280)).astype(np.float32)
    assert distance(features, features) < 1e-9


def test_a_rotation_into_many_dimensions_changes_nothing():
    random = np.random.default_rng(1)
    a, b = random.normal(size=(20, 3)), random.normal(1, 2, size=(30, 3))
    rotation = np.linalg.qr(random.normal(size=(200, 3)))[0].T
    assert distance(a @ rotation, b @ rotation) == pytest.approx(distance(a, b), rel=1e-10)


def test_a_large_common_offset_loses_no_precision():
    random = np.random.default_rng(2)
    a, b = random.normal(size=(40, 5)), random.normal(0.5, 2, size=(50, 5))
    assert distance(a + 1e6, b + 1e6) == pytest.approx(distance(a, b), rel=1e-6)


@given(cuts=st.lists(st.integers(0, 30), max_size=4), dimensions=st.sampled_from([2, 7, 40]))
def test_batches_give_the_same_as_all_at_once(cuts, dimensions):
    features = np.random.default_rng(3).normal(3, 1, size=(30, dimensions)).astype(np.float32)
    statistics = FeatureStatistics()
    for part in np.split(features, sorted(cuts)):
        if len(part):
            statistics.update(part)
    exact = features.astype(np.float64)
    assert statistics.count == 30
    np.testing.assert_allclose(statistics.mean, exact.mean(axis=0), rtol=1e-12)
    covariance = statistics.factor.T @ statistics.factor / 29
    np.testing.assert_allclose(covariance, np.cov(exact, rowvar=False), rtol=1e-9, atol=1e-12)
    assert len(statistics.factor) <= dimensions
