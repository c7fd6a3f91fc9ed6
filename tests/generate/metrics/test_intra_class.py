"""Perceptual diversity within a condition: pairs of different patients, and collapses."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from torch import nn

from morphoscope.generate.metrics import RealImages, measure_intra_class
from morphoscope.generate.metrics.intra_class import pair_distances
from morphoscope.generate.metrics.perceptual import PerceptualNetwork


class Pixels(nn.Module):
    def forward(self, images):
        return [images]


@pytest.fixture
def network():
    return PerceptualNetwork("pixels", "0" * 16, Pixels(), torch.device("cpu"))


def noise(random, number, level=128, sd=20):
    return np.clip(random.normal(level, sd, (number, 64, 64, 3)), 0, 255).astype(np.uint8)


def reals(random, patients=8, images=1):
    groups = np.repeat([f"patient {k}" for k in range(2 * patients)], images)
    shown = np.repeat(noise(random, 2 * patients), images, axis=0)
    return RealImages(shown, np.repeat(["dark", "pale"], patients * images), groups)


def test_distances_are_those_of_the_network(network):
    images = noise(np.random.default_rng(0), 5)
    pixels = images.reshape(5, -1) / 127.5 - 1
    expected = pdist(pixels, "sqeuclidean") / (64 * 64)
    np.testing.assert_allclose(pair_distances(network, images)[np.triu_indices(5, 1)], expected, rtol=1e-3)


def test_images_like_the_real_ones_have_a_ratio_of_one_and_a_collapse_is_found(network):
    random = np.random.default_rng(0)

    def generate(condition, number):
        images = noise(random, 12)
        return images if condition == "dark" else np.repeat(images[:1], 12, axis=0)

    found = measure_intra_class(network, reals(random), generate)
    dark, pale = found.by_condition["dark"], found.by_condition["pale"]
    assert dark.estimate.low < 1.05 and dark.estimate.value == pytest.approx(1, abs=0.05)
    assert pale.estimate.value == pytest.approx(0, abs=1e-4)
    assert dark.estimate.value == pytest.approx(dark.beside_floor / dark.floor)
    assert found.overall.estimate.value == pytest.approx(dark.estimate.value / 2, abs=0.03)
    assert found.worst_first() == ["pale", "dark"]
    assert found.name == "intra_class_pixels"


def test_images_of_one_patient_are_no_pair(network):
    random = np.random.default_rng(0)
    found = measure_intra_class(network, reals(random, images=3), lambda name, number: noise(random, 8))
    assert found.by_condition["dark"].estimate.value == pytest.approx(1, abs=0.05)


def test_a_condition_with_fewer_than_three_patients_has_no_value(network):
    random = np.random.default_rng(0)
    few = reals(random, patients=8)
    kept = np.r_[0:10]  # eight of dark, two of pale
    few = RealImages(few.images[kept], few.conditions[kept], few.groups[kept])
    found = measure_intra_class(network, few, lambda name, number: noise(random, 8))
    assert np.isnan(found.by_condition["pale"].estimate.value)
    assert found.by_condition["pale"].text(3) == "–"
    assert found.overall.estimate.value == found.by_condition["dark"].estimate.value
    assert found.worst_first() == ["dark", "pale"]
