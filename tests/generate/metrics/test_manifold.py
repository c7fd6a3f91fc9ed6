"""Precision, recall, density and coverage: torch-fidelity, scipy, published expectations, and properties."""

import importlib.util

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from morphoscope.generate.metrics.frechet import FeatureStatistics, frechet_distance
from morphoscope.generate.metrics.kernel import kernel_distance, squared_mmd
from morphoscope.generate.metrics.pairs import Pairs
from morphoscope.generate.metrics.similarity import SIMILARITY, values_of

needs_torch_fidelity = pytest.mark.skipif(
    importlib.util.find_spec("torch_fidelity") is None, reason="torch-fidelity (extra `dev`) is not installed"
)


def measured(generated, real, groups=None):
    """{metric: value} of features; by default each real image is of a patient of its own."""
    owners = np.arange(len(real)) if groups is None else groups
    owners = np.concatenate([owners, 1000 + np.arange(len(generated))])
    pairs = Pairs(np.concatenate([real, generated]), owners, np.zeros(len(owners)))
    values = values_of(pairs, np.arange(len(real), len(owners)), np.arange(len(real)))
    return dict(zip(SIMILARITY, values, strict=True))


@pytest.fixture
def features():
    random = np.random.default_rng(0)
    return random.normal(0.3, 0.9, (60, 12)), random.normal(size=(50, 12))


class TestTorchFidelity:
    pytestmark = needs_torch_fidelity

    def test_precision_and_recall(self, features):
        from torch_fidelity.metric_prc import prc_features_to_metric

        generated, real = map(torch.from_numpy, features)
        theirs = prc_features_to_metric(
            generated, real, prc_neighborhood=3, prc_batch_size=100, save_cpu_ram=False, verbose=False
        )
        ours = measured(*features)
        assert 0.2 < ours["recall"] < 0.95 and 0.2 < ours["precision"] < 0.95
        assert ours["precision"] == pytest.approx(theirs["precision"])
        assert ours["recall"] == pytest.approx(theirs["recall"])

    def test_frechet_distance(self, features):
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

        theirs = fid_statistics_to_metric(
            *(fid_features_to_statistics(torch.from_numpy(part)) for part in features), verbose=False
        )["frechet_inception_distance"]
        assert measured(*features)["fd"] == pytest.approx(theirs, rel=1e-6)
        ours = frechet_distance(*(FeatureStatistics.of(part) for part in features))
        assert ours == pytest.approx(theirs, rel=1e-6)

    def test_kernel_distance(self, features):
        from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

        generated, real = features
        settings = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_coef0": 1}
        settings |= {"kid_kernel_poly_gamma": None}
        theirs = kernel_mmd(generated[:50], real, **settings)
        assert measured(generated[:50], real)["kid"] == pytest.approx(theirs, rel=1e-9)
        assert squared_mmd(generated[:50], real) == pytest.approx(theirs, rel=1e-9)
        subsets = kid_features_to_metric(
            *map(torch.from_numpy, features), kid_subsets=400, kid_subset_size=25, rng_seed=0,
            verbose=False, **settings,
        )  # fmt: skip
        ours = kernel_distance(generated, real)
        sd = subsets["kernel_inception_distance_std"]
        assert ours.mean == pytest.approx(subsets["kernel_inception_distance_mean"], abs=4 * sd / 10)
        assert ours.sd == pytest.approx(sd, rel=0.3)


def test_density_and_coverage_by_their_definition(features):
    generated, real = features
    radii = np.sort(cdist(real, real), axis=1)[:, 5]  # the image itself is the first
    inside = cdist(generated, real) <= radii
    found = measured(*features)
    assert found["density"] == pytest.approx(inside.sum() / (5 * len(generated)))
    assert found["coverage"] == pytest.approx(inside.any(axis=0).mean())


def test_density_and_coverage_of_equal_distributions_have_their_published_expectations():
    """Naeem et al. 2020, section 3.3: for any distribution 1, and what the numbers of images give."""
    random = np.random.default_rng(1)
    generated, real, k = 40, 50, 5
    found = [
        measured(random.exponential(size=(generated, 6)), random.exponential(size=(real, 6)))
        for _ in range(200)
    ]
    missed = np.prod([(real - j) / (generated + real - j) for j in range(1, k + 1)])
    density = [one["density"] for one in found]
    assert np.mean(density) == pytest.approx(1, abs=4 * np.std(density) / 200**0.5)
    coverage = [one["coverage"] for one in found]
    assert np.mean(coverage) == pytest.approx(1 - missed, abs=4 * np.std(coverage) / 200**0.5)


def test_diversity_is_the_ratio_of_scipys_mean_distances(features):
    from scipy.spatial.distance import pdist

    generated, real = features
    assert measured(*features)["diversity"] == pytest.approx(pdist(generated).mean() / pdist(real).mean())


def test_identical_sets(features):
    _, real = features
    found = measured(real, real)
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    assert found["fd"] == pytest.approx(0, abs=1e-9)
    assert found["kid"] < 0  # unbiased: the sets share their images, which are no independent samples
    assert found["diversity"] == pytest.approx(1)


def test_disjoint_sets(features):
    generated, real = features
    found = measured(generated + 100, real)
    assert found["precision"] == found["recall"] == found["density"] == found["coverage"] == 0
    assert found["kid"] > 1000 and found["fd"] > 1000


def test_the_order_of_images_does_not_matter(features):
    random = np.random.default_rng(3)
    groups = random.integers(0, 20, 50)
    order = random.permutation(50)
    found = measured(*features, groups)
    shuffled = measured(random.permutation(features[0]), features[1][order], groups[order])
    assert shuffled == pytest.approx(found)


def test_images_of_one_patient_are_no_neighbours_of_each_other():
    """Four near-identical photographs of each patient would otherwise make balls that contain nothing."""
    random = np.random.default_rng(4)
    patients = np.repeat(random.normal(size=(20, 4)), 4, axis=0)
    real = patients + random.normal(0, 1e-3, patients.shape)
    generated = random.normal(size=(40, 4))
    assert measured(generated, real)["precision"] < 0.1
    assert measured(generated, real, np.repeat(np.arange(20), 4))["precision"] > 0.5
