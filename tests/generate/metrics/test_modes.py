"""Repeated images are counted; a smaller spread alone is no repetition."""

import numpy as np
import pytest

from morphoscope.generate.metrics import repeated_pairs


@pytest.mark.parametrize("images", [20, 5, 3, 2, 1])
def test_the_proportion_of_repeated_pairs_is_that_of_so_many_images(images):
    random = np.random.default_rng(images)
    real, shown = random.normal(size=(2, 80, 32))
    generated = shown[np.arange(100) % images]
    counts = np.bincount(np.arange(100) % images)
    expected = (counts * (counts - 1)).sum() / (100 * 99)
    assert repeated_pairs(generated, real) == pytest.approx(expected)
    slightly_different = generated + random.normal(0, 0.02, generated.shape)
    assert repeated_pairs(slightly_different, real) == pytest.approx(expected)


@pytest.mark.parametrize("spread", [1.0, 0.6, 0.5])
def test_images_that_are_all_a_little_alike_are_no_repetitions(spread):
    random = np.random.default_rng(0)
    real, generated = random.normal(size=(2, 80, 32))
    assert repeated_pairs(spread * generated, real) == 0


def test_many_real_images_do_not_hide_repetitions_that_vary():
    """Among 1,900 images the nearest one is closer than among 100."""
    random = np.random.default_rng(0)
    real = random.normal(size=(1900, 6))
    generated = real[np.arange(100) % 5] + random.normal(0, 0.05, (100, 6))
    assert repeated_pairs(generated, real) == pytest.approx(19 / 99, abs=0.02)


def test_real_images_that_do_not_differ_are_no_error():
    assert repeated_pairs(np.zeros((10, 4)), np.zeros((10, 4))) == 1
