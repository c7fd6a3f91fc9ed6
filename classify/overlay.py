"""Attribution maps as pictures."""

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_COLOURS = matplotlib.colormaps["RdBu_r"]  # blue speaks against, red speaks for
_STRONGEST = 99.0  # percentile of the absolute map that gets the full colour
_BLUR = 0.03  # of the image's side: evidence for and against of neighbouring pixels is netted
_OPACITY = 0.75


def overlay(image: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    """Lay a map over a photograph: red where pixels speak for the condition, blue where against.

    Only for the eye: the map is blurred by 3% of the image's side, and its colours are relative to its own
    99th percentile. The photograph is shown in grey so that its colours are not mistaken for the map's.

    Args:
        image: uint8 [H, W, 3] RGB.
        attribution: float32 [H, W], `Attribution.map`.

    Returns:
        uint8 [H, W, 3] RGB.
    """
    height, width = attribution.shape
    assert image.shape == (height, width, 3), "the map lies on the image's own pixels"
    smooth = cv2.GaussianBlur(attribution, (0, 0), max(_BLUR * min(height, width), 0.5))
    strongest = float(np.percentile(np.abs(smooth), _STRONGEST)) or 1.0
    signed = np.clip(smooth / strongest, -1, 1)
    colours = _COLOURS((signed + 1) / 2)[..., :3] * 255
    grey = np.asarray(Image.fromarray(image).convert("L"), dtype=np.float64)[..., None]
    opacity = _OPACITY * np.abs(signed)[..., None]
    return np.round(grey * (1 - opacity) + colours * opacity).astype(np.uint8)


def legend(width: int = 320, height: int = 44) -> np.ndarray:
    """A colour bar that explains `overlay`: uint8 [height, width, 3] RGB."""
    picture = Image.new("RGB", (width, height), "white")
    bar = np.round(_COLOURS(np.linspace(0, 1, width - 20))[None, :, :3] * 255).astype(np.uint8)
    picture.paste(Image.fromarray(np.repeat(bar, height // 2 - 8, axis=0)), (10, 6))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(8, min(13, width // 25)))
    draw.text((10, height - 4), "speaks against", "black", font=font, anchor="lb")
    draw.text((width - 10, height - 4), "speaks for", "black", font=font, anchor="rb")
    return np.array(picture)
