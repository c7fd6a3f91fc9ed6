"""Images as pictures for the page; every synthetic one is marked, to the eye and in its metadata."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import encode_synthetic_png
from morphoscope.cohort.marking import marked

_KEPT_SIDE = 1024  # pixels
_COMPRESS_LEVEL = 3  # of zlib: a page waits for its pictures


def fitted(image: np.ndarray, side: int) -> np.ndarray:
    """Scale uint8 [H, W, 3] so that its longer side is `side` pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return image
    resampling = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize(size, resampling))


def kept_small(image: np.ndarray) -> np.ndarray:
    """A photograph, uint8 [H, W, 3], at the size at which its attribution maps are computed: 1024 at most."""
    return fitted(image, _KEPT_SIDE) if max(image.shape[:2]) > _KEPT_SIDE else image


def data_uri(image: np.ndarray, provenance: Provenance | None = None, printed: bool = True) -> str:
    """The image as a PNG in a `data:` address: nothing is written to disk.

    Args:
        image: uint8 [H, W, 3].
        provenance: of a synthetic image, which is marked with it in the PNG's metadata.
        printed: whether the picture of a synthetic image shows the mark, too.
    """
    if provenance is None:
        buffer = BytesIO()
        Image.fromarray(image).save(buffer, "PNG", compress_level=_COMPRESS_LEVEL)
        data = buffer.getvalue()
    else:
        shown = Image.fromarray(marked(image, provenance.summary) if printed else image)
        data = encode_synthetic_png(shown, provenance, _COMPRESS_LEVEL)
    return "data:image/png;base64," + base64.b64encode(data).decode()
