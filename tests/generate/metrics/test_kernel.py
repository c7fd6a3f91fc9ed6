"""Kernel distance: against its definition, unbiased, growing with a shift."""

import numpy as np
import pytest

from morphoscope.generate.metrics import kernel_distance
from morphoscope.generate.metrics.kernel import squared_mmd


def test_the_definition_pair_by_pair():
    random = np.random.default_rng(0)
    a = random.normal(size=(6, 4)).astype(np.float32)
    b = random.normal(1, 2, size=(5, 4)).astype(np.float32)

    def kernel(x, y):
        return (sum(float(p) * float(q) for p, q in zip(x, y, strict=True)) / 4 + 1) ** 3

    def mean_of_pairs(rows):
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
        return sum(kernel(rows[i], rows[j]) for i, j in pairs) / len(pairs)

    across = sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))
    assert squared_mmd(a, b) == pytest.approx(mean_of_pairs(a) + mean_of_pairs(b) - 2 * across, rel=1e-12)


def test_unbiased_for_sets_of_one_distribution():
    """A biased estimate from 8 images would be too high by 2; the mean of 300 is known to 0.05."""
    random = np.random.default_rng(1)
    found = [squared_mmd(random.normal(size=(8, 16)), random.normal(size=(8, 16))) for _ in range(300)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    assert np.std(found) / np.sqrt(len(found)) < 0.05
    assert min(found) < 0 < max(found)


def test_grows_with_a_shift_and_exceeds_its_sd():
    random = np.random.default_rng(2)
    a = random.normal(size=(100, 32))
    found = [kernel_distance(a, random.normal(shift, 1, size=(100, 32))) for shift in (0.0, 0.3, 0.6)]
    means = [distance.mean for distance in found]
    assert means == sorted(means)
    assert abs(means[0]) < 2 * found[0].sd
    assert means[2] > 5 * found[2].sd


def test_a_hundred_images_have_an_sd():
    random = np.random.default_rng(3)
    distance = kernel_distance(random.normal(size=(100, 8)), random.normal(size=(100, 8)))
    assert distance.sd > 1e-3


def test_subsets_depend_on_the_seed_and_not_on_numpys_state():
    random = np.random.default_rng(4)
    a, b = random.normal(size=(20, 8)), random.normal(size=(9, 8))
    np.random.seed(0)
    first = kernel_distance(a, b, seed=5)
    before = np.random.get_state()[1].copy()
    assert kernel_distance(a, b, seed=5) == first
    assert kernel_distance(a, b, seed=6) != first
    assert np.array_equal(before, np.random.get_state()[1])


def test_two_images_are_enough():
    distance = kernel_distance(np.eye(2), np.eye(2))
    # The kernel is 1 for different images, and (3/2)³ or 1 across the sets.
    assert distance.mean == pytest.approx(2 - (1.5**3 + 1))
    assert distance.sd == 0
