"""The mark of synthesis that people see: a strip printed below an image."""

import math

import numpy as np
from PIL import Image, ImageDraw

from morphoscope.cohort.provenance import Provenance
from morphoscope.runtime.reporting.lettering import fitting_font

SYNTHETIC = "SYNTHETIC · not a photograph"
READABLE_WIDTH = 384
"""Pixels; on narrower images the printed mark cannot be read."""
_STRIP, _INK, _BRIGHT = (23, 37, 42), (255, 255, 255), (255, 209, 102)


def marked(image: np.ndarray, origin: str) -> np.ndarray:
    """Add a strip below a synthetic image that says so, and how the image was made.

    Args:
        image: uint8 [H, W, 3].
        origin: second line, e.g. mixture, seed and generator.

    Returns:
        uint8 [H + strip, W, 3]; the image's own pixels are left as they are.
    """
    return np.concatenate([image, mark_strip(image.shape[1], origin)])


def mark_strip(width: int, origin: str) -> np.ndarray:
    """The strip of `marked` alone, uint8 [strip, width, 3]."""
    large, small = (
        fitting_font(text, 0.95 * width, max(7, round(share * width)))
        for text, share in ((SYNTHETIC, 0.044), (origin, 0.031))
    )
    line = large.size + small.size
    height = round(1.75 * line)
    canvas = Image.new("RGB", (width, height), _STRIP)
    draw = ImageDraw.Draw(canvas)
    left, gap = round(0.025 * width), round(0.25 * line)
    draw.text((left, gap), SYNTHETIC, fill=_BRIGHT, font=large, anchor="lt")
    draw.text((left, height - gap), origin, fill=_INK, font=small, anchor="lb")
    return np.asarray(canvas)


def readably_marked(image: np.ndarray, provenance: Provenance) -> np.ndarray:
    """A synthetic image with its printed mark, enlarged by a whole factor if it is narrower than 384 pixels.

    Args:
        image: uint8 [H, W, 3].
        provenance: of one image.

    Returns:
        uint8 [f H + strip, f W, 3].
    """
    return marked(readable(image), provenance.summary)


def readable(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3], enlarged by the smallest whole factor that makes it at least 384 pixels wide."""
    height, width = image.shape[:2]
    factor = math.ceil(READABLE_WIDTH / width)
    if factor == 1:
        return image
    size = (factor * width, factor * height)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
