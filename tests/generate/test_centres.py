"""Mean w of conditions, mixtures and stages."""

import pytest
import torch

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.generate import load
from morphoscope.generate.centres import TruncationCentres, class_means
from morphoscope.generate.networks.generator import Generator


@pytest.fixture(scope="module")
def staged():
    """A generator of three classes; the second lies between the two others."""
    torch.manual_seed(0)
    G = Generator(
        8, 3, 8, 8, 3, {"num_layers": 2, "stages": [[1, 0, 2]]}, {"channel_base": 64, "channel_max": 8}
    )
    return G.eval().requires_grad_(False)


def test_condition_has_its_stored_mean(staged):
    means = torch.arange(24.0).reshape(3, 8)
    assert TruncationCentres(staged, means).of(torch.eye(3)).equal(means)


def test_even_mixture_of_the_ends_has_the_stored_mean_of_the_stage(staged):
    means = torch.arange(24.0).reshape(3, 8)
    assert TruncationCentres(staged, means).of(torch.tensor([[0.5, 0, 0.5]])).equal(means[1:2])


def test_estimate_approaches_the_stored_mean(staged):
    centres = TruncationCentres(staged, class_means(staged, 3))
    near = centres.of(torch.tensor([[1 - 1e-5, 0, 1e-5]]))
    torch.testing.assert_close(near, centres.of(torch.eye(3)[:1]), rtol=0, atol=1e-3)


def test_mean_of_a_mixture_on_the_bundled_model():
    """Within 2 % of the distance between the conditions; the mixture of their means is 23 % off."""
    model = load(GENERATOR)
    mixture = {"HMI": 0.5, "NF1": 0.5}
    z = torch.randn([16384, model.G.z_dim], generator=torch.Generator().manual_seed(1))
    label = torch.from_numpy(model.label(mixture)).expand(len(z), -1)
    with torch.no_grad():
        expected = model.G.mapping(z, label)[:, 0].mean(0)
    ends = model.class_mean("HMI"), model.class_mean("NF1")
    between = (ends[0] - ends[1]).norm()
    assert (model.class_mean(mixture) - expected).norm() / between < 0.02
    assert (ends[0].lerp(ends[1], 0.5) - expected).norm() / between > 0.15


def test_frames_of_a_morph_are_truncated_towards_their_own_mean():
    """At psi 0 a frame is the image of its mixture's mean, whatever the seed."""
    model = load(GENERATOR)
    frame = model.morph("HMI", "NF1", seed=3, steps=[0.5], psi=0.0)
    mean = model.class_mean({"HMI": 0.5, "NF1": 0.5})
    assert (frame == model.images(mean.expand(1, model.G.num_ws, -1))).all()
