"""Phantom people: the same seed draws the same person, and images of one person differ."""

import numpy as np
import pytest

from morphoscope.cohort.phantom.heads import PhantomPerson, phantom_head
from morphoscope.configs import UserError


def person(seed):
    return PhantomPerson.draw(np.random.default_rng(seed))


def test_a_seed_draws_the_same_head():
    first, again = (phantom_head(person(3), np.random.default_rng(4), 64) for _ in range(2))
    assert first.shape == (64, 64, 3)
    assert np.array_equal(first, again)


def test_shots_of_a_person_differ_in_pose_and_light():
    first, second = (phantom_head(person(3), np.random.default_rng(seed), 64) for seed in (4, 5))
    assert np.abs(first.astype(int) - second).mean() > 5


def test_people_differ_in_shape():
    assert np.abs(person(1).points - person(2).points).max() > 0.2


@pytest.mark.parametrize("size", [63, 1025, 100.0])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(UserError, match="size"):
        phantom_head(person(1), np.random.default_rng(0), size)
