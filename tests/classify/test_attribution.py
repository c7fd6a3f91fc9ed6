import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from morphoscope.classify import Ensemble, legend, overlay
from morphoscope.classify.attribution import integrated_gradients, onto_image
from morphoscope.configs import UserError


class TwoPixels(nn.Module):
    """Logits (a, 0), where a depends on the pixels at (0, 0) and (1, 1) only."""

    def forward(self, images: Tensor) -> Tensor:
        evidence = 2 * images[:, 0, 0, 0] - 3 * images[:, 2, 1, 1]
        return torch.stack([evidence, torch.zeros_like(evidence)], dim=1)


def test_only_the_pixels_that_count_get_attribution_with_their_sign() -> None:
    found, difference, delta = integrated_gradients([TwoPixels()], torch.ones(1, 3, 4, 4), 0, "black", 32, 8)
    assert found[0, 0] > 0 > found[1, 1]
    assert found[0, 0] / found[1, 1] == pytest.approx(
        -2 / 3, rel=1e-4
    )  # same path, so in ratio of the weights
    assert np.count_nonzero(found) == 2
    assert difference == pytest.approx(1 / (1 + np.exp(1)) - 0.5, abs=1e-5)
    assert found.sum() == pytest.approx(difference, abs=1e-5)
    assert delta == pytest.approx(0, abs=1e-5)


def test_a_white_image_differs_from_a_white_baseline_in_nothing() -> None:
    found, difference, _ = integrated_gradients([TwoPixels()], torch.ones(1, 3, 4, 4), 0, "white", 8, 8)
    assert difference == 0
    assert not found.any()


def test_an_image_of_one_colour_differs_from_its_mean_in_nothing(ensemble: Ensemble) -> None:
    found = ensemble.attribute(np.full((32, 32, 3), (200, 90, 80), np.uint8), "red", baseline="mean")
    assert found.difference == pytest.approx(0, abs=1e-5)
    assert np.abs(found.map).sum() < 1e-4


def test_the_map_is_the_mean_of_the_folds_maps(ensemble: Ensemble, photographs: list[np.ndarray]) -> None:
    whole = ensemble.attribute(photographs[0], "red")
    folds = [ensemble.fold(name).attribute(photographs[0], "red").map for name in ensemble.folds]
    np.testing.assert_allclose(whole.map, np.mean(folds, axis=0), atol=1e-6)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_attribution_is_complete(ensemble: Ensemble, photographs: list[np.ndarray], number: int) -> None:
    """The map sums to the change of the mean probability from the baseline (Sundararajan et al., axiom)."""
    image = photographs[number]
    found = ensemble.attribute(image, 2, baseline="black", steps=64)
    black = ensemble.predict([np.zeros_like(image)]).per_fold.mean(axis=0)[0, 2]
    here = ensemble.predict([image]).per_fold.mean(axis=0)[0, 2]
    assert found.difference == pytest.approx(here - black, abs=1e-5)
    assert abs(found.convergence_delta) < 0.02 * max(abs(found.difference), 0.01)
    assert found.map.shape == image.shape[:2]
    assert found.map.sum() == pytest.approx(
        found.difference + found.convergence_delta, abs=0.01 * float(np.abs(found.map).sum())
    )
    assert found.target == "red"


def test_bad_requests_are_refused(ensemble: Ensemble, photographs: list[np.ndarray]) -> None:
    image = photographs[0]
    with pytest.raises(UserError, match="violet"):
        ensemble.attribute(image, "violet")
    with pytest.raises(UserError, match="Unknown condition 3"):
        ensemble.attribute(image, 3)
    with pytest.raises(UserError, match="method 'lime'"):
        ensemble.attribute(image, 0, method="lime")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="baseline 'grey'"):
        ensemble.attribute(image, 0, baseline="grey")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="steps"):
        ensemble.attribute(image, 0, steps=0)


@given(st.integers(8, 80), st.integers(8, 80))
def test_a_cropped_map_keeps_its_sum_and_leaves_the_margin_empty(height: int, width: int) -> None:
    square_map = np.ones((16, 16), np.float32)
    spread = onto_image(square_map, (height, width), "crop")
    assert spread.shape == (height, width)
    assert spread.sum() == pytest.approx(256, rel=1e-3)
    side = min(height, width)
    assert np.count_nonzero(spread) == side * side


def test_a_letterboxed_map_drops_the_margin() -> None:
    square_map = np.zeros((16, 16), np.float32)
    square_map[4:12] = 1  # the band that a 2:1 image fills
    spread = onto_image(square_map, (16, 32), "letterbox")
    assert spread.shape == (16, 32)
    assert (spread[1:-1] > 0.24).all()


def test_overlay_colours_say_for_and_against() -> None:
    image = np.full((60, 60, 3), 128, np.uint8)
    evidence = np.zeros((60, 60), np.float32)
    evidence[5:25, 5:25], evidence[35:55, 35:55] = 1, -1
    picture = overlay(image, evidence)
    assert picture.shape == image.shape and picture.dtype == np.uint8
    assert picture[15, 15, 0] > picture[15, 15, 2] + 50  # red
    assert picture[45, 45, 2] > picture[45, 45, 0] + 50  # blue
    np.testing.assert_allclose(picture[15, 45], 128, atol=2)
    np.testing.assert_allclose(overlay(image, np.zeros((60, 60), np.float32)), 128, atol=2)
    assert legend(300, 44).shape == (44, 300, 3)
