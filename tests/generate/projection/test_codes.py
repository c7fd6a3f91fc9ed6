"""The distribution of codes, codes as variables, and noise maps."""

import numpy as np
import pytest
import torch

from morphoscope.generate.projection.codes import (
    CodeDistribution,
    MappedCodes,
    WhitenedCodes,
    named_mixture,
)
from morphoscope.generate.projection.noise import noise_maps, normalise, regularisation


@pytest.fixture(scope="module")
def distribution(model):
    return CodeDistribution.of(model)


def codes_of(model, condition, number=500):
    z = torch.randn([number, model.G.z_dim], generator=torch.Generator().manual_seed(5))
    label = torch.eye(2)[condition].expand(number, -1)
    return model.G.mapping(z, label)[:, 0], label


def test_codes_of_the_mapping_are_typical(model, distribution):
    squares = []
    for condition in (0, 1):
        w, label = codes_of(model, condition)
        squares.append(distribution.distance(w, label).square().mean())
        percentiles = [distribution.percentile(w[i : i + 1], label[i]) for i in range(200)]
        assert np.mean(percentiles) == pytest.approx(50, abs=10)
    assert np.mean(squares) == pytest.approx(1, abs=0.1)  # one covariance for both


def test_far_codes_are_not(model, distribution):
    w, label = codes_of(model, 0)
    far = distribution.mean(label) + 5 * (w - distribution.mean(label))
    assert distribution.percentile(far[:1], label[0]) == 100


def test_whitening_is_undone(model, distribution):
    w, label = codes_of(model, 1)
    v = distribution.whiten(w, label)
    assert torch.allclose(distribution.colour(v, label), w, atol=1e-4)
    free = WhitenedCodes(distribution, label, w)
    assert torch.allclose(free.codes(), w, atol=1e-4)
    assert torch.allclose(free.unlikeliness().sqrt(), distribution.distance(w, label), atol=1e-4)


def test_mapped_codes_stay_on_the_simplex(model):
    labels = torch.eye(2)
    codes = MappedCodes(model.G.mapping, labels, torch.randn(2, model.G.z_dim))
    assert torch.allclose(codes.labels, torch.tensor([[0.9, 0.1], [0.1, 0.9]]))
    codes.codes().sum().backward()
    with torch.no_grad():
        for variable in codes.variables:
            variable.add_(50 * torch.randn_like(variable))
    assert torch.allclose(codes.labels.sum(dim=1), torch.ones(2))
    assert (codes.labels >= 0).all()


def test_named_mixtures_add_up_to_one():
    mixture = named_mixture(np.array([0.3, 0.6995, 0.0005]), ["a", "b", "c"])
    assert list(mixture) == ["a", "b"]
    assert sum(mixture.values()) == pytest.approx(1)
    assert named_mixture(np.array([0.0, 1.0]), ["a", "b"]) == {"b": 1.0}


def test_an_image_in_the_noise_costs_more_than_noise(model):
    maps = noise_maps(model.G.synthesis, 2)
    assert {noise.shape[0] for noise in maps.values()} == {2}
    plain = {"a": torch.randn([1, 1, 64, 64], generator=torch.Generator().manual_seed(0))}
    waves = torch.linspace(0, 12, 64).sin().expand(1, 1, 64, 64)
    normalised = {"a": waves.clone()}
    normalise(normalised)
    assert normalised["a"].mean() == pytest.approx(0, abs=1e-5)
    assert normalised["a"].square().mean() == pytest.approx(1, abs=1e-4)
    assert regularisation(normalised) > 50 * regularisation(plain)
