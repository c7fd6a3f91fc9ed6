"""The permutation test of the accuracy: its p values are uniform if there is nothing to find."""

import numpy as np
import pytest
from scipy.stats import kstest

from morphoscope.classify.gestalt.region_networks.chance import permutation_p


def simulated(random, families=60, skill=0.0):
    """(labels, answers, families): up to five images per family; a family's answers are alike."""
    sizes = random.integers(1, 6, families)
    labels = random.integers(0, 3, families)
    favourite = np.where(random.random(families) < skill, labels, random.integers(0, 3, families))
    owner = np.repeat(np.arange(families), sizes)
    answers = np.where(random.random(len(owner)) < 0.7, favourite[owner], random.integers(0, 3, len(owner)))
    return labels[owner], answers, owner


def test_p_values_are_uniform_under_the_null():
    random = np.random.default_rng(0)
    found = [permutation_p(*simulated(random), exchanges=199, seed=seed) for seed in range(400)]
    assert kstest(found, "uniform").pvalue > 0.05
    assert np.mean(np.array(found) <= 0.05) < 0.08


def test_images_of_a_family_are_no_independent_evidence():
    """Exchanging single images would call chance significant, since a family's answers agree."""
    random, families, images = np.random.default_rng(1), [], []
    for seed in range(200):
        labels, answers, owner = simulated(random, families=12)
        families.append(permutation_p(labels, answers, owner, exchanges=99, seed=seed))
        images.append(permutation_p(labels, answers, np.arange(len(owner)), exchanges=99, seed=seed))
    assert np.mean(np.array(families) <= 0.05) < 0.09 < np.mean(np.array(images) <= 0.05)


def test_a_true_relation_is_found():
    labels, answers, owner = simulated(np.random.default_rng(2), skill=0.8)
    assert permutation_p(labels, answers, owner, exchanges=999) == pytest.approx(0.001)


def test_one_label_or_no_difference_gives_one():
    ones = np.ones(6, np.int64)
    assert permutation_p(ones, ones, np.arange(6), exchanges=99) == 1
    assert permutation_p(np.arange(6) % 2, ones, np.arange(6), exchanges=99) == 1


def test_both_labels_of_a_family_are_kept_apart():
    truth, answers = np.array([0, 1, 0, 1]), np.array([0, 1, 0, 1])
    found = permutation_p(truth, answers, np.array([0, 0, 1, 1]), exchanges=999)
    assert found == pytest.approx(1 / 6, abs=0.05)  # one of the 6 orders of two pairs of labels
