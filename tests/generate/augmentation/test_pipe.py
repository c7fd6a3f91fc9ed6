"""The augmentation pipe: exact identity, frequencies, known strengths, gradients, controller."""

import json
import logging
import math
from typing import Any

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.generate.augmentation import (
    AdaController,
    AugmentPipe,
    DiffAugment,
    augment_multipliers,
    build_augmentation,
)
from morphoscope.generate.augmentation.geometry import (
    GEOMETRY_OPERATIONS,
    draw_geometry,
    margins,
    resample,
    rotation,
    translation,
)
from morphoscope.generate.augmentation.image import BAND_POWER, draw_band_gains, draw_colour
from morphoscope.generate.augmentation.strengths import Strengths
from morphoscope.ops.upfirdn2d import downsample2d, upsample2d

EVERYTHING = augment_multipliers("bgcfnc")


def _images(n: int = 4, c: int = 3, size: int = 24, seed: int = 0, **kwargs: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, c, size, size, generator=generator, **kwargs) * 2 - 1


def _pipe(p: float = 1.0, **multipliers: float) -> AugmentPipe:
    pipe = AugmentPipe(**multipliers)
    pipe.p.fill_(p)
    return pipe


def _changed(before: torch.Tensor, after: torch.Tensor, tolerance: float = 1e-3) -> torch.Tensor:
    return (before - after).abs().flatten(1).amax(dim=1) > tolerance


# -- what fires ----------------------------------------------------------------------------------------------


def test_p_zero_returns_the_same_tensor_and_draws_nothing() -> None:
    images = _images()
    before = torch.get_rng_state()
    assert _pipe(0, **EVERYTHING)(images) is images
    assert AugmentPipe()(images) is images
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        *[("brightness", 0.5), ("contrast", 0.5), ("lumaflip", 0.25), ("hue", 0.5), ("saturation", 0.5)],
        *[("noise", 0.5), ("cutout", 0.5), ("imgfilter", 1 - 0.5**4)],
    ],
)
def test_at_half_p_the_expected_fraction_of_images_changes(operation: str, expected: float) -> None:
    torch.manual_seed(0)
    images = _images(n=400)
    fraction = _changed(images, _pipe(0.5, **{operation: 1.0})(images)).float().mean()
    assert abs(fraction - expected) < 4 * math.sqrt(expected * (1 - expected) / 400)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("xflip", 0.25), ("rotate90", 0.375), ("scale", 0.5), ("rotate", 0.5), ("aniso", 0.5), ("xfrac", 0.5)],
)
def test_at_half_p_the_expected_fraction_of_matrices_changes(operation: str, expected: float) -> None:
    torch.manual_seed(0)
    images = torch.zeros(4000, 3, 8, 8)
    A = draw_geometry({operation: 0.5}, Strengths(images, None), images, random=True)
    fraction = _changed(torch.eye(3).expand_as(A), A, 1e-6).float().mean()
    assert abs(fraction - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)


def test_multiplier_scales_the_probability() -> None:
    torch.manual_seed(0)
    images = _images(n=400)
    fraction = _changed(images, _pipe(0.5, brightness=0.2)(images)).float().mean()
    assert 0.04 < fraction < 0.16


def test_random_mode_is_reproducible_with_the_global_generator() -> None:
    pipe, images = _pipe(0.7, **EVERYTHING), _images()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = pipe(images), pipe(images)
    torch.set_rng_state(state)
    assert torch.equal(pipe(images), first)
    assert not torch.equal(first, second)


# -- effects of the operations -------------------------------------------------------------------------------


def test_blitting_moves_whole_pixels() -> None:
    """Smooth images, which the low-pass filter keeps, are flipped, rotated and moved up to its ripple."""
    x, y = torch.linspace(0, 2 * math.pi, 40), torch.linspace(0, 2 * math.pi, 32)
    image = (torch.sin(x)[None] + 0.5 * torch.cos(2 * y)[:, None])[None, None].repeat(1, 3, 1, 1) / 2
    inside = (..., slice(6, -6), slice(6, -6))
    for multipliers, percentile, expected in [
        ({"xflip": 1}, 0.9, image.flip(3)),
        ({"rotate90": 1}, 0.6, image.flip(2, 3)),  # option 2 of 4: half a turn
        ({"xint": 1}, 1.0, image.roll((4, 5), dims=(2, 3))),
    ]:
        result = _pipe(**multipliers)(image, percentile=percentile)
        torch.testing.assert_close(result[inside], expected[inside], atol=2e-2, rtol=0)


def test_resampling_equals_padding_and_upfirdn2d() -> None:
    """The result is that of pad, upsample2d and downsample2d in sequence."""
    images, lowpass = _images(n=2, size=20)[..., :14], AugmentPipe().Hz_geom
    padded = torch.nn.functional.pad(images, [6] * 4, mode="reflect")
    expected = downsample2d(upsample2d(padded, lowpass), lowpass, flip_filter=True)[..., 6:-6, 6:-6]
    result = resample(images, torch.eye(3).repeat(2, 1, 1), lowpass)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_margins_cover_the_farthest_image_but_are_less_than_the_size() -> None:
    eye = torch.eye(3)[None]
    assert margins(eye, 16, 12, reach=3) == (6, 6, 6, 6)
    shifted = torch.cat([eye, translation(torch.tensor([[2.5, -100.0]]))])
    assert margins(shifted, 16, 12, reach=3) == (6, 11, 9, 6)
    assert margins(rotation(torch.tensor([math.pi / 2])), 16, 12, reach=3) == (4, 8, 4, 8)


def test_colour_matrices() -> None:
    images = torch.zeros(50, 3, 4, 4)
    axis = torch.ones(3)
    torch.manual_seed(0)
    hue = draw_colour({"hue": 1.0}, Strengths(images, None), images)[:, :, :3]
    torch.testing.assert_close(hue @ hue.mT, torch.eye(3).expand_as(hue), atol=1e-5, rtol=0)
    torch.testing.assert_close(hue @ axis, axis.expand(50, 3), atol=1e-5, rtol=0)
    saturation = draw_colour({"saturation": 1.0}, Strengths(images, None), images)[:, :, :3]
    torch.testing.assert_close(saturation @ axis, axis.expand(50, 3), atol=1e-5, rtol=0)
    flip = draw_colour({"lumaflip": 1.0}, Strengths(images, 0.9), images)[:, :, :3]
    torch.testing.assert_close(flip @ axis, -axis.expand(50, 3), atol=1e-5, rtol=0)
    bright = draw_colour({"brightness": 1.0}, Strengths(images, 0.75), images)[:, :, 3]
    torch.testing.assert_close(bright, torch.full((50, 3), 0.2 * float(torch.tensor(0.5).erfinv())))


def _chroma(images: torch.Tensor) -> torch.Tensor:
    """Direction [N, 3] of the mean colour from the grey axis, of length 1."""
    colour = images.mean(dim=[2, 3])
    return torch.nn.functional.normalize(colour - colour.mean(dim=1, keepdim=True))


def test_skin_preset_keeps_hue_and_order_of_brightness() -> None:
    torch.manual_seed(0)
    red = torch.tensor([0.6, -0.2, -0.4])[None, :, None, None].expand(40, 3, 16, 16)
    kept = (_chroma(AugmentPipe(**augment_multipliers("skin"))(red)) * _chroma(red)).sum(dim=1)
    torch.testing.assert_close(kept, torch.ones(40))
    turned = (_chroma(AugmentPipe(**augment_multipliers("bgc"))(red)) * _chroma(red)).sum(dim=1)
    assert turned.min() < -0.5
    colours = [name for name in augment_multipliers("color") if name in augment_multipliers("skin")]
    assert colours == ["brightness", "contrast", "saturation"]
    mole = torch.full((40, 3, 16, 16), 0.5)
    mole[..., 4:12, 4:12] = -0.5
    result = _pipe(**dict.fromkeys(colours, 1.0))(mole).mean(dim=1)
    assert (result[:, 8, 8] < result[:, 0, 0]).all()


def test_hue_and_saturation_do_not_change_grey_images() -> None:
    images = _images(c=1)
    torch.testing.assert_close(_pipe(hue=1, saturation=1)(images), images, atol=1e-5, rtol=0)
    torch.testing.assert_close(_pipe(lumaflip=1)(images, percentile=0.9), -images)


@pytest.mark.parametrize("preset", ["bgcfnc", "skin"])
@pytest.mark.parametrize("percentile", [0.2, 0.7])
def test_a_grey_image_becomes_the_mean_of_what_it_becomes_in_rgb(preset: str, percentile: float) -> None:
    pipe = AugmentPipe(**{**augment_multipliers(preset), "noise": 0})
    grey = _images(c=1)
    expected = pipe(grey.repeat(1, 3, 1, 1), percentile).mean(dim=1, keepdim=True)
    torch.testing.assert_close(pipe(grey, percentile), expected, atol=1e-5, rtol=0)


def test_diffaugment_treats_grey_as_rgb() -> None:
    grey, results = _images(c=1), []
    for images in (grey, grey.repeat(1, 3, 1, 1)):
        torch.manual_seed(0)
        results.append(DiffAugment()(images).mean(dim=1))
    torch.testing.assert_close(*results, atol=1e-5, rtol=0)


def test_filter_bank_splits_images_and_keeps_power() -> None:
    bank = AugmentPipe().Hz_fbank
    impulse = torch.zeros(43)
    impulse[21] = 1
    torch.testing.assert_close(bank.sum(dim=0), impulse, atol=1e-6, rtol=0)
    torch.manual_seed(0)
    images = torch.zeros(20, 3, 24, 24)
    one_band = draw_band_gains(1e-9, Strengths(images, None), images)
    torch.testing.assert_close(one_band, torch.ones(20, 4))
    gains = draw_band_gains(0.2, Strengths(images, None), images)
    single = (gains.log2().round(decimals=5).unsqueeze(2) == gains.log2().round(decimals=5).unsqueeze(1)).sum(
        (1, 2)
    )
    power = (gains.square() * torch.tensor(BAND_POWER)).sum(dim=1)
    changed_once = single == 10  # three equal gains and a fourth: 9 + 1
    assert changed_once.any()
    torch.testing.assert_close(power[changed_once], torch.ones(int(changed_once.sum())))


def test_cutout_blanks_a_quarter_and_noise_has_the_given_strength() -> None:
    images = torch.ones(1, 3, 32, 32)
    cut = _pipe(cutout=1)(images, percentile=0.5)
    assert (cut == 0).sum() == 3 * 16 * 16
    assert cut[..., 8:24, 8:24].abs().max() == 0
    torch.manual_seed(0)
    noise = _pipe(noise=1)(torch.zeros(1, 3, 128, 128), percentile=0.9)
    assert abs(float(noise.std()) / (0.1 * float(torch.tensor(0.9).erfinv())) - 1) < 0.02


# -- gradients -----------------------------------------------------------------------------------------------


def test_first_and_second_derivatives() -> None:
    """Finite differences through all operations at once; R1 and path length need second derivatives."""
    pipe = _pipe(**augment_multipliers("bgcf"))
    images = _images(n=2, size=22, dtype=torch.float64).requires_grad_(True)
    direction = _images(n=2, size=22, seed=1, dtype=torch.float64)

    def penalty(x: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(pipe(x, percentile=0.7).tanh().sum(), x, create_graph=True)
        return gradient.square().sum()

    value = penalty(images)
    (slope,) = torch.autograd.grad(value, images)
    step = 1e-5
    ahead, behind = (
        penalty((images + sign * step * direction).detach().requires_grad_(True)) for sign in (1, -1)
    )
    torch.testing.assert_close(
        (slope * direction).sum(), (ahead - behind).detach() / (2 * step), rtol=1e-5, atol=0
    )


# -- user errors ---------------------------------------------------------------------------------------------


def test_augmentation_is_built_by_name() -> None:
    pipe = build_augmentation("skin")
    assert isinstance(pipe, AugmentPipe)
    assert pipe.multipliers["saturation"] == 0.5
    assert isinstance(build_augmentation("diffaugment"), DiffAugment)
    assert build_augmentation(None) is None


def test_presets_and_errors() -> None:
    assert set(augment_multipliers("bgc")) == set(GEOMETRY_OPERATIONS) | set(augment_multipliers("color"))
    assert len(EVERYTHING) == 15
    with pytest.raises(UserError, match=r"one of .*bgcfnc.* not str 'bcg'"):
        augment_multipliers("bcg")
    with pytest.raises(UserError, match=r"augment: 'bcg'.*skin, diffaugment"):
        build_augmentation("bcg")
    with pytest.raises(UserError, match="hue takes a number of at least 0, not int -1"):
        AugmentPipe(hue=-1)
    with pytest.raises(UserError, match="RGB or grey"):
        AugmentPipe(hue=1)(torch.zeros(1, 4, 8, 8))
    with pytest.raises(UserError, match="float16"):
        AugmentPipe(hue=1)(torch.zeros(1, 3, 8, 8, dtype=torch.float16))
    with pytest.raises(UserError, match="imgfilter"):
        AugmentPipe(imgfilter=1)(torch.zeros(1, 3, 16, 16))
    with pytest.raises(UserError, match="ceiling=2"):
        AdaController(AugmentPipe(), ceiling=2)


# -- controller ----------------------------------------------------------------------------------------------


def test_p_rises_while_r_t_is_above_target_and_falls_below() -> None:
    pipe = _pipe(0.0, xflip=1)
    controller = AdaController(pipe, target=0.6, kimg=1)
    logits = torch.tensor([3.0, 1.0, 2.0, 4.0, 5.0, 1.0, 1.0, 1.0, 2.0, -1.0])  # mean sign 0.8
    for _ in range(3):
        controller.observe(logits)
        assert controller.step(32) is None
    controller.observe(logits)
    stats = controller.step(32)
    assert stats == {"augment_p": pytest.approx(0.128), "augment_real_sign": 0.8, "augment_at_ceiling": 0.0}
    for _ in range(8):
        controller.observe(-logits)
        controller.step(32)
    assert float(pipe.p) == 0  # and never less


def test_p_is_constant_at_the_target_and_never_above_the_ceiling(caplog: pytest.LogCaptureFixture) -> None:
    pipe = _pipe(0.5, xflip=1)
    controller = AdaController(pipe, target=0.0, kimg=0.1, interval=1)
    controller.observe(torch.tensor([1.0, -1.0]))
    controller.step(10)
    assert float(pipe.p) == 0.5
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            controller.observe(torch.ones(2))
            stats = controller.step(10)
    assert float(pipe.p) == pytest.approx(0.9)
    assert stats is not None
    assert stats["augment_at_ceiling"] == 1
    assert len(caplog.records) == 1  # warned once, not at every step


def test_controller_resumes_exactly() -> None:
    def run(controller: AdaController, steps: range) -> list[float]:
        values = []
        for step in steps:
            controller.observe(torch.randn(7, generator=torch.Generator().manual_seed(step)) + 0.5)
            controller.step(13)
            values.append(float(controller.pipe.p))
        return values

    whole = run(AdaController(_pipe(0.2), kimg=1), range(30))
    first = AdaController(_pipe(0.2), kimg=1)
    head = run(first, range(13))
    second = AdaController(_pipe(1.0), kimg=1)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert head + run(second, range(13, 30)) == whole
    assert len(set(whole)) > 3
