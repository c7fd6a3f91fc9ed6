"""The random transformations of adaptive discriminator augmentation (arXiv 2006.06676; spec 3)."""

import pywt
import torch

from morphoscope.configs import UserError, arguments
from morphoscope.generate.augmentation import geometry, image
from morphoscope.generate.augmentation.diffaugment import DiffAugment
from morphoscope.generate.augmentation.strengths import Probability, Strengths
from morphoscope.ops.filters import setup_filter

_GROUPS: dict[str, dict[str, float]] = {
    "blit": dict.fromkeys(("xflip", "rotate90", "xint"), 1.0),
    "geom": dict.fromkeys(("scale", "rotate", "aniso", "xfrac"), 1.0),
    "color": dict.fromkeys(image.COLOUR_OPERATIONS, 1.0),
    "filter": {"imgfilter": 1.0},
    "noise": {"noise": 1.0},
    "cutout": {"cutout": 1.0},
}
_BG = _GROUPS["blit"] | _GROUPS["geom"]
_BGC = _BG | _GROUPS["color"]
_BGCF = _BGC | _GROUPS["filter"]
_BGCFN = _BGCF | _GROUPS["noise"]
_PRESETS: dict[str, dict[str, float]] = {
    **_GROUPS,
    "bg": _BG,
    "bgc": _BGC,
    "bgcf": _BGCF,
    "bgcfn": _BGCFN,
    "bgcfnc": _BGCFN | _GROUPS["cutout"],
    # Colour is diagnostic on skin: a hue rotation turns erythema green, and a luma flip a dark mole pale. If
    # such changes leaked from the augmentation into the fakes, they would mislead. Brightness and contrast
    # differ between cameras anyway. So does saturation, but a third of its draws more than double or halve
    # it, which reddens or blanches skin, so it fires half as often.
    "skin": _BG | {"brightness": 1.0, "contrast": 1.0, "saturation": 0.5},
}


def augment_multipliers(name: str) -> dict[str, float]:
    """The multipliers of a preset, as keywords for `AugmentPipe`.

    Args:
        name: blit, geom, color, filter, noise, cutout, bg, bgc (the default in training), bgcf, bgcfn,
            bgcfnc, or skin (without changes of hue).

    Raises:
        UserError: an unknown name.
    """
    return dict(_PRESETS[arguments.one_of("augment preset", name, _PRESETS)])


def build_augmentation(name: str | None) -> torch.nn.Module | None:
    """The augmentation for a training: a preset of ADA, diffaugment, or None for no augmentation.

    Raises:
        UserError: an unknown name.
    """
    if name is None:
        return None
    if name == "diffaugment":
        return DiffAugment()
    if name not in _PRESETS:
        raise UserError(
            f"augment: '{name}' is unknown; use one of {', '.join(_PRESETS)}, diffaugment, or null for none."
        )
    return AugmentPipe(**augment_multipliers(name))


class AugmentPipe(torch.nn.Module):
    """Random transformations of real and fake images before the discriminator.

    An operation fires for an image with probability `p` times its multiplier (0 turns it off). Random numbers
    come from torch's global generator for the images' device. The result can be differentiated any number of
    times with respect to the images. Keywords: one multiplier per operation, see `augment_multipliers`.

    Buffers: `p` (float32 scalar, initially 1; `AdaController` or the trainer sets it), `Hz_geom` [12] (sym6)
    and `Hz_fbank` [4, 43] (sym2 filter bank). A `p` on a GPU is never read back: with p = 0 all strengths are
    drawn, but no operation fires.

    Raises:
        UserError: a negative multiplier.
    """

    p: torch.Tensor
    Hz_geom: torch.Tensor
    Hz_fbank: torch.Tensor

    def __init__(
        self,
        *,
        xflip: float = 0,
        rotate90: float = 0,
        xint: float = 0,
        scale: float = 0,
        rotate: float = 0,
        aniso: float = 0,
        xfrac: float = 0,
        brightness: float = 0,
        contrast: float = 0,
        lumaflip: float = 0,
        hue: float = 0,
        saturation: float = 0,
        imgfilter: float = 0,
        noise: float = 0,
        cutout: float = 0,
    ) -> None:
        super().__init__()
        self.multipliers: dict[str, float] = {
            "xflip": xflip,
            "rotate90": rotate90,
            "xint": xint,
            "scale": scale,
            "rotate": rotate,
            "aniso": aniso,
            "xfrac": xfrac,
            "brightness": brightness,
            "contrast": contrast,
            "lumaflip": lumaflip,
            "hue": hue,
            "saturation": saturation,
            "imgfilter": imgfilter,
            "noise": noise,
            "cutout": cutout,
        }
        for name, multiplier in self.multipliers.items():
            arguments.real_number(f"augment multiplier {name}", multiplier, 0)
        self.register_buffer("p", torch.ones(()))
        self.register_buffer("Hz_geom", setup_filter(pywt.Wavelet("sym6").dec_lo))
        self.register_buffer("Hz_fbank", image.wavelet_bank())

    def forward(self, images: torch.Tensor, percentile: float | None = None) -> torch.Tensor:
        """Augment a batch.

        Args:
            images: [N, 1 or 3, H, W] float32 (or float64), -1 to 1.
            percentile: None, or a q in (0, 1) for tests: every operation that is turned on fires, with the
                q-quantile of its strength instead of a random one; only `noise` keeps random pixels.

        Returns:
            The same shape and dtype; values may leave the range. `images` itself if no operation is turned
            on, or with p = 0 on a CPU.

        Raises:
            UserError: wrong shape or dtype, or an image too small for `imgfilter` (22 pixels).
        """
        self._check(images)
        if percentile is not None:
            arguments.real_number("percentile", percentile, 0, 1)
        probability = self._probabilities(percentile)
        strengths = Strengths(images, percentile)
        if any(name in probability for name in geometry.GEOMETRY_OPERATIONS):
            A = geometry.draw_geometry(probability, strengths, images, random=percentile is None)
            images = geometry.resample(images, A, self.Hz_geom.to(images.dtype))
        if any(name in probability for name in image.COLOUR_OPERATIONS):
            images = image.apply_colour(images, image.draw_colour(probability, strengths, images))
        if "imgfilter" in probability:
            gains = image.draw_band_gains(probability["imgfilter"], strengths, images)
            images = image.apply_filters(images, gains @ self.Hz_fbank.to(images.dtype))
        if "noise" in probability:
            images = image.apply_noise(images, strengths.half_normal(probability["noise"], image.NOISE_STD))
        if "cutout" in probability:
            size = strengths.switch(probability["cutout"], image.CUTOUT_SIZE)
            images = image.apply_cutout(images, strengths.position(), size)
        return images

    def _probabilities(self, percentile: float | None) -> dict[str, Probability]:
        """The probability of each operation that may fire, by name."""
        enabled = {name: multiplier for name, multiplier in self.multipliers.items() if multiplier > 0}
        if percentile is None and self.p.is_cuda:
            return {name: (self.p * multiplier).clamp(max=1) for name, multiplier in enabled.items()}
        p = float(self.p) if percentile is None else 1.0
        return {name: min(p * multiplier, 1.0) for name, multiplier in enabled.items() if p > 0}

    def _check(self, images: torch.Tensor) -> None:
        image.check_images(images)
        half = self.Hz_fbank.shape[1] // 2
        if self.multipliers["imgfilter"] > 0 and min(images.shape[2:]) <= half:
            raise UserError(
                f"augment operation imgfilter: needs images of more than {half} pixels per side, not "
                f"{tuple(images.shape[2:])}; use a preset without it, e.g. bgc."
            )
