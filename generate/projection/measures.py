"""How far the image that a projection found is from the photograph."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from morphoscope.generate.metrics.perceptual import as_tensor
from morphoscope.generate.projection.stages import Target
from morphoscope.generate.rendering import to_uint8


@dataclass(frozen=True)
class Found:
    """The photograph as one stage found it.

    Attributes:
        image: uint8 [R, R, 3].
        rms: root mean square difference of pixels, grey levels (0 to 255).
        psnr: peak signal-to-noise ratio, dB; infinite for equal images.
        perceptual: distance by the perceptual network.
        seconds: that the stage took.
    """

    image: np.ndarray
    rms: float
    psnr: float
    perceptual: float
    seconds: float

    def as_json(self) -> dict[str, float | None]:
        """All values by name; an infinite PSNR is null."""
        return {
            "rms": self.rms,
            "psnr": self.psnr if math.isfinite(self.psnr) else None,
            "perceptual": self.perceptual,
            "seconds": self.seconds,
        }


@torch.no_grad()
def measured(target: Target, images: torch.Tensor, seconds: float) -> Found:
    """Compare an image float32 [1, 3, R, R], about [-1, 1], with the target, after rounding to 8 bits."""
    image = to_uint8(images)
    shown = as_tensor(image, images.device)
    rms = 127.5 * float((shown - target.photograph).square().mean().sqrt())
    return Found(
        image=image[0],
        rms=rms,
        psnr=20 * math.log10(255 / rms) if rms > 0 else math.inf,
        perceptual=float(target.loss(shown, pixels=0)),
        seconds=seconds,
    )
