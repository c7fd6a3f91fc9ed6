"""The four methods: on models whose attribution is known, and on an ensemble."""

from typing import get_args

import numpy as np
import pytest
import timm
import torch
from timm.layers import SelectAdaptivePool2d
from torch import Tensor, nn

from morphoscope.classify import Ensemble
from morphoscope.classify.attribution.methods import explain, gradcam, integrated_gradients, smoothgrad
from morphoscope.configs import UserError
from morphoscope.configs.attribution import AttributionSettings, Method


class TwoPixels(nn.Module):
    """Logits (a, 0), where a depends on the pixels at (0, 0) and (1, 1) only."""

    def forward(self, images: Tensor) -> Tensor:
        evidence = 2 * images[:, 0, 0, 0] - 3 * images[:, 2, 1, 1]
        return torch.stack([evidence, torch.zeros_like(evidence)], dim=1)


class Pooled(nn.Module):
    """Logits (mean red - mean green, 0): the image is the last feature map, in either of timm's layouts."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        self.output_fmt = layout
        self.global_pool = SelectAdaptivePool2d(flatten=True, input_fmt=layout)

    def forward(self, images: Tensor) -> Tensor:
        features = images if self.output_fmt == "NCHW" else images.permute(0, 2, 3, 1)
        pooled = self.global_pool(features)
        evidence = pooled[:, 0] - pooled[:, 1]
        return torch.stack([evidence, torch.zeros_like(evidence)], dim=1)


def test_integrated_gradients_find_only_the_relevant_pixels_with_their_sign() -> None:
    settings = AttributionSettings(baseline="black")
    found = integrated_gradients(TwoPixels(), torch.ones(1, 3, 4, 4), 0, settings, 8)
    assert found.map[0, 0] > 0 > found.map[1, 1]
    # The same path for both, so that the ratio is that of the weights.
    assert found.map[0, 0] / found.map[1, 1] == pytest.approx(-2 / 3, rel=1e-4)
    assert np.count_nonzero(found.map) == 2
    assert found.difference == pytest.approx(1 / (1 + np.exp(1)) - 0.5, abs=1e-5)
    assert found.map.sum() == pytest.approx(found.difference, abs=1e-5)
    assert found.delta == pytest.approx(0, abs=1e-5)


def test_a_white_image_has_no_attribution_with_a_white_baseline() -> None:
    settings = AttributionSettings(baseline="white", steps=8)
    found = integrated_gradients(TwoPixels(), torch.ones(1, 3, 4, 4), 0, settings, 8)
    assert found.difference == 0
    assert not found.map.any()


def test_the_average_over_baselines_is_the_mean_of_their_maps() -> None:
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    maps = {
        name: integrated_gradients(TwoPixels(), pixels, 0, AttributionSettings(baseline=name, steps=4), 4).map
        for name in ("mean", "black", "white", "blurred", "average")
    }
    average = maps.pop("average")
    np.testing.assert_allclose(average, np.mean(list(maps.values()), axis=0), atol=1e-7)
    assert not np.allclose(maps["mean"], maps["blurred"], atol=1e-4)


class Steep(TwoPixels):
    """The same, but 20 times as steep, so that a few points miss the integral; `sign` is 1 or -1."""

    def __init__(self, sign: int) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, images: Tensor) -> Tensor:
        return self.sign * 20 * super().forward(images)


def test_errors_of_models_and_baselines_do_not_cancel() -> None:
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(6))
    settings = AttributionSettings(baseline="mean", steps=3)
    alone = integrated_gradients(Steep(1), pixels, 0, settings, 4)
    assert alone.delta is not None and abs(alone.delta) > 0.05
    both = explain([Steep(1), Steep(-1)], pixels, 0, "integrated_gradients", settings, 4)
    np.testing.assert_allclose(both.deltas, [alone.delta, -alone.delta], atol=1e-6)
    deltas = {
        name: integrated_gradients(Steep(1), pixels, 0, AttributionSettings(baseline=name, steps=3), 4).delta
        for name in ("mean", "black", "white", "blurred", "average")
    }
    average = deltas.pop("average")
    assert average == pytest.approx(max(deltas.values(), key=abs))
    assert abs(np.mean(list(deltas.values()))) < 0.8 * abs(average)


def test_smoothgrad_gives_the_gradients_magnitude() -> None:
    """For a linear model the noise changes only the slope of the softmax, which all pixels share."""
    found = smoothgrad(TwoPixels(), torch.rand(1, 3, 4, 4), 0, AttributionSettings(noise=0.01), 8)
    assert found.map[1, 1] / found.map[0, 0] == pytest.approx(3 / 2, rel=1e-4)
    assert np.count_nonzero(found.map) == 2 and (found.map >= 0).all()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_gradcam_shows_the_positive_part_of_the_weighted_features(layout: str) -> None:
    """Grad-CAM eq. 1 and 2: weights are the pooled gradients, here (1, -1, 0) / 16."""
    pixels = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = gradcam(Pooled(layout), pixels, 0, AttributionSettings(), 1)
    expected = ((pixels[0, 0] - pixels[0, 1]) / 16).relu()
    np.testing.assert_allclose(found.map, expected.numpy(), atol=1e-7)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv3_small_050", "resnet18"])
def test_gradcam_finds_the_last_feature_map_of_any_convolutional_backbone(name: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3).eval()
    found = gradcam(model, torch.rand(1, 3, 64, 64), 1, AttributionSettings(), 1)
    assert found.map.shape == (64, 64)
    assert found.map.min() >= 0 and found.map.std() > 0


def test_gradcam_of_a_backbone_without_feature_map_is_an_error() -> None:
    with pytest.raises(UserError, match="no convolutional feature map"):
        gradcam(TwoPixels(), torch.rand(1, 3, 4, 4), 0, AttributionSettings(), 1)


def test_occlusion_is_the_drop_of_the_probability_when_a_square_is_covered() -> None:
    settings = AttributionSettings(baseline="black", window=0.5)
    (found,), _, _ = explain([TwoPixels()], torch.ones(1, 3, 8, 8), 0, "occlusion", settings, 3)
    change = 1 / (1 + np.exp(1)) - 0.5  # only the first of the nine squares covers a relevant pixel
    assert found[0, 0] == found[1, 1] == pytest.approx(change, abs=1e-6)
    assert found[3, 3] == pytest.approx(change / 4, abs=1e-6)  # one of the four squares over it
    assert found[7, 7] == 0


@pytest.mark.parametrize("method", get_args(Method))
class TestEnsemble:
    def test_the_map_is_the_mean_of_the_folds_maps(
        self, method: Method, ensemble: Ensemble, photographs: list[np.ndarray]
    ) -> None:
        whole = ensemble.attribute(photographs[0], "red", method, steps=4, samples=4)
        folds = [
            ensemble.fold(name).attribute(photographs[0], "red", method, steps=4, samples=4).map
            for name in ensemble.folds
        ]
        np.testing.assert_allclose(whole.per_fold, folds, atol=1e-6)
        np.testing.assert_allclose(whole.map, np.mean(folds, axis=0), atol=1e-6)

    def test_the_map_has_the_photographs_own_pixels_and_is_reproducible(
        self, method: Method, ensemble: Ensemble, photographs: list[np.ndarray]
    ) -> None:
        first, second = (ensemble.attribute(photographs[2], 1, method, steps=4, samples=4) for _ in range(2))
        assert first.map.shape == photographs[2].shape[:2] and first.map.any()
        assert first.per_fold.shape == (3, 32, 32)
        np.testing.assert_array_equal(first.map, second.map)
        assert (first.baseline is not None) == first.signed

    def test_the_batch_size_does_not_change_the_map(
        self, method: Method, ensemble: Ensemble, photographs: list[np.ndarray]
    ) -> None:
        pixels = torch.from_numpy(photographs[0]).permute(2, 0, 1)[None] / 255
        settings = AttributionSettings(steps=6, samples=6)
        single, several = (
            explain(ensemble.models[:1], pixels, 0, method, settings, batch).per_fold for batch in (1, 4)
        )
        np.testing.assert_allclose(single, several, atol=1e-4 * np.abs(single).max())


def test_another_seed_gives_other_noise(ensemble: Ensemble, photographs: list[np.ndarray]) -> None:
    first, second = (
        ensemble.attribute(photographs[0], 1, "smoothgrad", samples=2, seed=seed).map for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_an_image_of_one_colour_has_no_attribution_with_its_mean_as_baseline(ensemble: Ensemble) -> None:
    found = ensemble.attribute(np.full((32, 32, 3), (200, 90, 80), np.uint8), "red", baseline="mean")
    assert found.difference == pytest.approx(0, abs=1e-5)
    assert np.abs(found.map).sum() < 1e-4


@pytest.mark.parametrize("number", [0, 1, 2])
def test_integrated_gradients_are_complete(
    ensemble: Ensemble, photographs: list[np.ndarray], number: int
) -> None:
    """Completeness (Sundararajan et al.): the map sums to the change of the mean probability."""
    image = photographs[number]
    found = ensemble.attribute(image, 2, baseline="black", steps=64)
    black = ensemble.predict([np.zeros_like(image)]).per_fold.mean(axis=0)[0, 2]
    here = ensemble.predict([image]).per_fold.mean(axis=0)[0, 2]
    assert found.difference is not None and found.convergence_delta is not None
    assert found.difference == pytest.approx(here - black, abs=1e-5)
    assert found.deltas is not None and found.deltas.shape == (3,)
    assert abs(found.convergence_delta) == pytest.approx(np.abs(found.deltas).max())
    assert abs(found.convergence_delta) < 0.02 * max(abs(found.difference), 0.01)
    assert found.map.shape == image.shape[:2]
    assert found.map.sum() == pytest.approx(
        found.difference + found.deltas.mean(), abs=0.01 * float(np.abs(found.map).sum())
    )
    assert found.target == "red"


def test_invalid_requests_are_errors(ensemble: Ensemble, photographs: list[np.ndarray]) -> None:
    image = photographs[0]
    with pytest.raises(UserError, match="violet"):
        ensemble.attribute(image, "violet")
    with pytest.raises(UserError, match="Unknown condition 3"):
        ensemble.attribute(image, 3)
    with pytest.raises(UserError, match=r"method takes one of .*, not str 'lime'"):
        ensemble.attribute(image, 0, method="lime")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"baseline: .*'blurred'"):
        ensemble.attribute(image, 0, baseline="grey")
    with pytest.raises(UserError, match="steps"):
        ensemble.attribute(image, 0, steps=0)
    with pytest.raises(UserError, match="colour: no such setting"):
        ensemble.attribute(image, 0, colour="red")
