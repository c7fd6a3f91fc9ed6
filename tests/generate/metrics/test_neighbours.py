"""Nearest neighbours agree with SciPy, and copies are at distance 0."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from morphoscope.generate.metrics import neighbours
from morphoscope.generate.metrics.neighbours import nearest


@pytest.mark.parametrize("count", [1, 5, 40])
def test_neighbours_are_scipys(count, monkeypatch):
    monkeypatch.setattr(neighbours, "_ROWS", 7)
    random = np.random.default_rng(0)
    queries, images = random.normal(size=(20, 8)), random.normal(size=(30, 8))
    distances, indices = nearest(queries, images, count)
    expected = cdist(queries, images)
    kept = min(count, 30)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :kept])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :kept], rtol=1e-12)


def test_a_copy_is_at_distance_0_also_far_from_the_origin():
    images = (1e4 + np.random.default_rng(0).normal(size=(30, 8))).astype(np.float32)
    distances, indices = nearest(images[::-1], images)
    assert (distances == 0).all()
    assert indices[:, 0].tolist() == list(range(29, -1, -1))
