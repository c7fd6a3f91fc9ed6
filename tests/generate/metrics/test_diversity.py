"""Diversity: the mean distance between two images of a set."""

import numpy as np
import pytest

from morphoscope.generate.metrics import diversity


def test_corners_of_a_square():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    assert diversity(corners) == pytest.approx((4 + 2 * np.sqrt(2)) / 6, rel=1e-12)


def test_identical_images_have_no_diversity():
    assert diversity(np.full((50, 1280), 0.3, np.float32)) == 0


def test_a_sample_represents_a_large_set():
    features = np.random.default_rng(0).normal(size=(5000, 64))
    assert diversity(features) == pytest.approx(diversity(features[:1500]), rel=0.01)
    assert diversity(features) == diversity(features)
