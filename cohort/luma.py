"""Colour images as grey ones."""

import numpy as np

# Of red, green and blue in the luma of ITU-R BT.601, in 1/65536; with these integers Pillow converts to grey.
_RED, _GREEN, _BLUE = 19595, 38470, 7471
LUMA_WEIGHTS = (_RED / 65536, _GREEN / 65536, _BLUE / 65536)
"""Weights of red, green and blue; their sum is 1."""


def in_grey(images: np.ndarray) -> np.ndarray:
    """Images with their luma in all three channels, rounded as in Pillow's mode "L".

    Args:
        images: uint8 [N, H, W, 3] RGB.

    Returns:
        uint8 [N, H, W, 3], whose three channels are equal; an image that was grey keeps its values.
    """
    grey = np.empty(images.shape, np.uint8)
    for image, result in zip(images, grey, strict=True):  # sums of all would be large
        red, green, blue = np.moveaxis(image.astype(np.uint32), -1, 0)
        result[...] = ((_RED * red + _GREEN * green + _BLUE * blue + 0x8000) >> 16)[..., None]
    return grey
