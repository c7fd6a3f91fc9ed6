"""Pictures for the page, and the mark that every synthetic one carries on itself."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

SYNTHETIC = "SYNTHETIC · not a photograph"
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


def marked(image: np.ndarray, provenance: str) -> np.ndarray:
    """Set a strip below a synthetic picture that says so, and what it was made from.

    Args:
        image: uint8 [H, W, 3].
        provenance: second line, e.g. mixture, seed and generator.

    Returns:
        uint8 [H + strip, W, 3]; the image's own pixels are left as they are.
    """
    height, width = image.shape[:2]
    large, small = _font(SYNTHETIC, width, 0.044), _font(provenance, width, 0.031)
    line = large.size + small.size
    strip = round(1.75 * line)
    canvas = Image.new("RGB", (width, height + strip), _STRIP)
    canvas.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(canvas)
    left, gap = round(0.025 * width), round(0.25 * line)
    draw.text((left, height + gap), SYNTHETIC, fill=_BRIGHT, font=large, anchor="lt")
    draw.text((left, height + strip - gap), provenance, fill=_INK, font=small, anchor="lb")
    return np.asarray(canvas)


def data_uri(image: np.ndarray, synthetic: str | None = None) -> str:
    """The picture as a PNG in a `data:` address: nothing is written to disk.

    Args:
        image: uint8 [H, W, 3].
        synthetic: provenance of a synthetic picture, put into the PNG's text beside the word Synthetic.
    """
    texts = PngInfo()
    if synthetic is not None:
        meaning = "not a photograph; may resemble its training pictures"
        texts.add_itxt("Synthetic", f"yes: made by a generator, {meaning}; {synthetic}")
        texts.add_text("Software", "Morphoscope")
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3, pnginfo=texts)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _font(text: str, width: int, share: float) -> ImageFont.FreeTypeFont:
    """The default font at `share` of the width, or as much smaller as the text needs to fit."""
    size = max(7, round(share * width))
    while True:
        font = ImageFont.load_default(size=size)
        assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is built with FreeType"
        if size <= 7 or font.getlength(text) <= 0.95 * width:
            return font
        size -= 1
