"""Attribution maps drawn over their photographs, and the legend of their colours."""

from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morphoscope.classify.inputs.preparation import check_image
from morphoscope.configs import arguments

_SIGNED = matplotlib.colormaps["RdBu_r"]  # blue: evidence against, red: evidence for
_UNSIGNED = matplotlib.colormaps["viridis"]  # from violet to yellow: not to be confused with red and blue
_STRONGEST = 99.0  # percentile of the absolute map that gets full colour
_BLUR = 0.03  # standard deviation, as a fraction of the image's side: nets opposite evidence of neighbours
_OPACITY = 0.75
_LONGEST_SIDE = 1600  # pixels; a larger overlay shows no more and takes gigabytes


def overlay(
    image: np.ndarray, attribution: np.ndarray, signed: bool = True, strongest: float | None = None
) -> np.ndarray:
    """Draw a map over its photograph: red pixels are evidence for the condition, blue ones against it.

    The overlay is for viewing only. Photograph and map are averaged down to at most 1600 pixels on the longer
    side (`Attribution.map` itself keeps the photograph's own pixels). The map is blurred by 3% of the image's
    side, and its colours are relative to its own 99th percentile. The photograph is shown in grey, so that
    its colours are not mistaken for the map's.

    Args:
        image: uint8 [H, W, 3] RGB.
        attribution: float32 [H, W], `Attribution.map`, in any unit.
        signed: `Attribution.signed`; an unsigned map goes from violet (less important) to yellow (more
            important).
        strongest: value that gets full colour, `colour_range` of another map to compare this one with it;
            that of this map if None or 0.

    Returns:
        uint8 [H, W, 3] RGB; of an image with a side above 1600, [h, w, 3] of the same proportions whose
        longer side is 1600.

    Raises:
        UserError: an image or a map of another kind, or of another size than the other.
    """
    check_image(image)
    _require_map(attribution)
    if attribution.shape != image.shape[:2]:
        arguments.refuse("attribution", f"a map of the image's size {list(image.shape[:2])}", attribution)
    arguments.flag("signed", signed)
    if strongest is not None:
        arguments.real_number("strongest", strongest, 0)
    image, attribution = (_shrunk(array) for array in (image, attribution))
    smooth = _blurred(attribution)
    strength = np.clip(smooth / (strongest or _range(smooth)), -1, 1)
    colours = (_SIGNED((strength + 1) / 2) if signed else _UNSIGNED(strength))[..., :3] * 255
    grey = np.asarray(Image.fromarray(image).convert("L"), dtype=np.float64)[..., None]
    opacity = _OPACITY * np.abs(strength)[..., None]
    return np.round(grey * (1 - opacity) + colours * opacity).astype(np.uint8)


def colour_range(attribution: np.ndarray) -> float:
    """The value to which `overlay` gives full colour in a map float32 [H, W]; above 0.

    Raises:
        UserError: something else than a map.
    """
    _require_map(attribution)
    return _range(_blurred(_shrunk(attribution)))


def _require_map(attribution: Any) -> None:
    is_array = isinstance(attribution, np.ndarray) and attribution.ndim == 2 and attribution.size
    if not is_array or attribution.dtype.kind != "f":
        arguments.refuse("attribution", "an array of numbers [H, W], as in Attribution.map", attribution)


def _blurred(attribution: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(attribution, (0, 0), max(_BLUR * min(attribution.shape), 0.5))


def _range(blurred: np.ndarray) -> float:
    return float(np.percentile(np.abs(blurred), _STRONGEST)) or 1.0


def _shrunk(array: np.ndarray) -> np.ndarray:
    """Average [H, W, …] down to at most 1600 pixels on the longer side; smaller arrays stay as they are."""
    height, width = array.shape[:2]
    scale = _LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return array
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA)


def legend(width: int = 320, height: int = 44, signed: bool = True) -> np.ndarray:
    """Draw the colour bar of `overlay`, uint8 [height, width, 3] RGB, sizes in pixels.

    Raises:
        UserError: a width outside 40 to 10,000, or a height outside 20 to 1000.
    """
    arguments.whole_number("width", width, 40, 10_000)
    arguments.whole_number("height", height, 20, 1000)
    arguments.flag("signed", signed)
    bar = Image.new("RGB", (width, height), "white")
    bar.paste(Image.fromarray(colour_strip(width - 20, height // 2 - 8, signed)), (10, 6))
    draw = ImageDraw.Draw(bar)
    font = ImageFont.load_default(max(8, min(13, width // 25)))
    left, right = legend_ends(signed)
    draw.text((10, height - 8), left, "black", font=font, anchor="ls")
    draw.text((width - 10, height - 8), right, "black", font=font, anchor="rs")
    return np.array(bar)


def colour_strip(width: int, height: int, signed: bool) -> np.ndarray:
    """The colours of `overlay` from left to right, uint8 [height, width, 3]."""
    colours = (_SIGNED if signed else _UNSIGNED)(np.linspace(0, 1, width))
    return np.repeat(np.round(colours[None, :, :3] * 255).astype(np.uint8), height, axis=0)


def legend_ends(signed: bool) -> tuple[str, str]:
    """What the first and the last of these colours mean."""
    return ("evidence against", "evidence for") if signed else ("less important", "more important")
