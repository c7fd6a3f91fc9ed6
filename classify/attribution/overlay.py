"""Attribution maps as pictures."""

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SIGNED = matplotlib.colormaps["RdBu_r"]  # blue speaks against, red speaks for
_UNSIGNED = matplotlib.colormaps["viridis"]  # violet matters little, yellow much; not taken for red and blue
_STRONGEST = 99.0  # percentile of the absolute map that gets the full colour
_BLUR = 0.03  # of the image's side: evidence for and against of neighbouring pixels is netted
_OPACITY = 0.75
_LONGEST_SIDE = 1600  # pixels of a picture that is drawn: more are not seen and cost gigabytes


def overlay(image: np.ndarray, attribution: np.ndarray, signed: bool = True) -> np.ndarray:
    """Lay a map over a photograph: red where pixels speak for the condition, blue where against.

    Only for the eye: what is longer than 1600 pixels is shrunk to them by averaging, photograph and map alike
    (`Attribution.map` itself stays on the photograph's own pixels); the map is blurred by 3% of the image's
    side, and its colours are relative to its own 99th percentile. The photograph is shown in grey so that its
    colours are not mistaken for the map's.

    Args:
        image: uint8 [H, W, 3] RGB.
        attribution: float32 [H, W], `Attribution.map`.
        signed: `Attribution.signed`; an unsigned map goes from violet (matters little) to yellow (much).

    Returns:
        uint8 [H, W, 3] RGB; of larger ones [h, w, 3] with the same proportions, the longer side 1600.
    """
    assert image.shape == (*attribution.shape, 3), "the map lies on the image's own pixels"
    image, attribution = (_shrunk(array) for array in (image, attribution))
    height, width = attribution.shape
    smooth = cv2.GaussianBlur(attribution, (0, 0), max(_BLUR * min(height, width), 0.5))
    strongest = float(np.percentile(np.abs(smooth), _STRONGEST)) or 1.0
    strength = np.clip(smooth / strongest, -1, 1)
    colours = (_SIGNED((strength + 1) / 2) if signed else _UNSIGNED(strength))[..., :3] * 255
    grey = np.asarray(Image.fromarray(image).convert("L"), dtype=np.float64)[..., None]
    opacity = _OPACITY * np.abs(strength)[..., None]
    return np.round(grey * (1 - opacity) + colours * opacity).astype(np.uint8)


def _shrunk(array: np.ndarray) -> np.ndarray:
    """[H, W, …] with its longer side at most 1600, each pixel the mean of those that it replaces."""
    height, width = array.shape[:2]
    scale = _LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return array
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA)


def legend(width: int = 320, height: int = 44, signed: bool = True) -> np.ndarray:
    """A colour bar that explains `overlay`: uint8 [height, width, 3] RGB."""
    picture = Image.new("RGB", (width, height), "white")
    colours = (_SIGNED if signed else _UNSIGNED)(np.linspace(0, 1, width - 20))
    bar = np.round(colours[None, :, :3] * 255).astype(np.uint8)
    picture.paste(Image.fromarray(np.repeat(bar, height // 2 - 8, axis=0)), (10, 6))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(8, min(13, width // 25)))
    left, right = ("speaks against", "speaks for") if signed else ("matters little", "matters much")
    draw.text((10, height - 4), left, "black", font=font, anchor="lb")
    draw.text((width - 10, height - 4), right, "black", font=font, anchor="rb")
    return np.array(picture)
