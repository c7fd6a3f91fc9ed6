"""Images as pictures for the page; every synthetic one is marked, to the eye and in its metadata."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import encode_synthetic_png

SYNTHETIC = "SYNTHETIC · not a photograph"
_COMPRESS_LEVEL = 3  # of zlib: a page waits for its pictures
_STRIP, _INK, _BRIGHT = (23, 37, 42), (255, 255, 255), (255, 209, 102)


def fitted(image: np.ndarray, side: int) -> np.ndarray:
    """Scale uint8 [H, W, 3] so that its longer side is `side` pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return image
    resampling = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize(size, resampling))


def marked(image: np.ndarray, origin: str) -> np.ndarray:
    """Add a strip below a synthetic image that says so, and how the image was made.

    Args:
        image: uint8 [H, W, 3].
        origin: second line, e.g. mixture, seed and generator.

    Returns:
        uint8 [H + strip, W, 3]; the image's own pixels are left as they are.
    """
    height, width = image.shape[:2]
    large, small = _font(SYNTHETIC, width, 0.044), _font(origin, width, 0.031)
    line = large.size + small.size
    strip = round(1.75 * line)
    canvas = Image.new("RGB", (width, height + strip), _STRIP)
    canvas.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(canvas)
    left, gap = round(0.025 * width), round(0.25 * line)
    draw.text((left, height + gap), SYNTHETIC, fill=_BRIGHT, font=large, anchor="lt")
    draw.text((left, height + strip - gap), origin, fill=_INK, font=small, anchor="lb")
    return np.asarray(canvas)


def data_uri(image: np.ndarray, provenance: Provenance | None = None) -> str:
    """The image as a PNG in a `data:` address: nothing is written to disk.

    Args:
        image: uint8 [H, W, 3].
        provenance: of a synthetic image, which is marked with it in the picture and in the PNG's metadata.
    """
    if provenance is None:
        buffer = BytesIO()
        Image.fromarray(image).save(buffer, "PNG", compress_level=_COMPRESS_LEVEL)
        data = buffer.getvalue()
    else:
        shown = Image.fromarray(marked(image, provenance.summary))
        data = encode_synthetic_png(shown, provenance, _COMPRESS_LEVEL)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _font(text: str, width: int, share: float) -> ImageFont.FreeTypeFont:
    """The default font at `share` of the width, or as much smaller as the text needs to fit."""
    size = max(7, round(share * width))
    while True:
        font = ImageFont.load_default(size=size)
        assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is built with FreeType"
        if size <= 7 or font.getlength(text) <= 0.95 * width:
            return font
        size -= 1
