"""Even spacing, with a network whose distances are known."""

import numpy as np
import pytest
import torch

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.configs import UserError
from morphoscope.generate import load
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.latents.spacing import distances, space_evenly, unevenness
from morphoscope.generate.metrics.perceptual import PerceptualNetwork, load_perceptual_network


class Grey(torch.nn.Module):
    """The mean grey level as the only feature, on the scale of pixel values."""

    def forward(self, images):
        return [images.mean(dim=(1, 2, 3), keepdim=True) * 127.5]


@pytest.fixture
def grey():
    return PerceptualNetwork("grey", "0" * 16, Grey(), torch.device("cpu"))


def uniform(levels):
    return np.repeat(np.asarray(levels, np.float64).round().astype(np.uint8), 4 * 4 * 3).reshape(-1, 4, 4, 3)


def test_distances_of_neighbours(grey):
    levels = [10, 13, 13, 250, *range(40)]  # more than one batch
    np.testing.assert_allclose(distances(uniform(levels), grey), np.abs(np.diff(levels)), atol=1e-3)


@pytest.mark.parametrize("course", [lambda t: t**4, lambda t: 1 / (1 + np.exp(30 * (0.6 - t)))])
def test_a_path_that_stands_still_and_jumps_becomes_even(grey, course):
    found = space_evenly(lambda t: uniform(250 * course(t)), 9, grey)
    before, after = found.unevenness
    assert before > 10
    assert after < 1.25  # grey levels are whole numbers
    assert found.ratios[0] == 0 and found.ratios[-1] == 1 and (np.diff(found.ratios) > 0).all()
    assert found.as_json()["network"] == "grey"


def test_an_even_path_stays_as_it_is(grey):
    found = space_evenly(lambda t: uniform(240 * t), 9, grey)
    np.testing.assert_array_equal(found.ratios, np.linspace(0, 1, 9))
    assert found.unevenness == pytest.approx((1.0, 1.0), abs=1e-4)


def test_a_path_of_one_image_cannot_be_spaced(grey):
    with pytest.raises(UserError, match="the same image"):
        space_evenly(lambda t: uniform(0 * t), 5, grey)


def test_a_step_of_no_length_is_infinitely_uneven():
    assert unevenness(np.array([0.0, 1.0])) == float("inf")


def test_bundled_model_in_features_of_lite0():
    """A label-linear morph is uneven; placed evenly, the largest step is at most 1.5 times the smallest."""
    model = load(GENERATOR)
    path = LatentPath(End(4, {"NF1": 1.0}), End(4, {"TSC": 1.0}))
    found = space_evenly(lambda t: path.frames(model, t), 9, load_perceptual_network())
    before, after = found.unevenness
    assert before > 2
    assert after <= 1.5
