"""One photograph without its metadata, from bytes to bytes."""

from io import BytesIO
from typing import NamedTuple

from PIL import Image

from morphoscope.cohort import png
from morphoscope.cohort.colour_profiles import to_srgb as convert_to_srgb
from morphoscope.cohort.marked_files import carry_mark
from morphoscope.cohort.reading import decode, encode_png
from morphoscope.cohort.stripping import colour_profile_chunks, strip_metadata

_BAND = 256  # rows that are compared at a time


class Cleaned(NamedTuple):
    """A file for a cohort.

    Attributes:
        data: JPEG or PNG.
        is_new_png: whether the pixels were encoded again, as PNG.
        has_profile: whether it carries a colour profile.
    """

    data: bytes
    is_new_png: bool
    has_profile: bool


def clean(data: bytes, name: str, to_srgb: bool = False) -> Cleaned:
    """Decode a file as a test, and remove whatever its pixels do not need; arguments as for `copy_in`.

    Raises:
        UserError: it cannot be read, or its colour profile cannot be applied.
    """
    image, plain, profile = decode(data, name)
    if to_srgb and profile is not None:
        converted = convert_to_srgb(image, profile, name)
        plain = plain and converted.tobytes() == image.tobytes()
        image, profile = converted, None
    stripped = strip_metadata(data, profile) if plain else None
    if stripped is not None and _shows(stripped, image):
        return Cleaned(stripped, False, profile is not None)
    # Not plain, or with a structure in which metadata could hide: only the pixels are kept.
    encoded = png.insert_after_header(encode_png(image), colour_profile_chunks(profile))
    return Cleaned(carry_mark(data, encoded), True, profile is not None)


def _shows(data: bytes, image: Image.Image) -> bool:
    """Whether a file has exactly the pixels of `image`, compared in bands: whole copies would be large."""
    with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as opened:
        found = opened if opened.mode == "RGB" else opened.convert("RGB")
        if found.size != image.size:
            return False
        width, height = image.size
        bands = ((0, top, width, min(top + _BAND, height)) for top in range(0, height, _BAND))
        return all(found.crop(band).tobytes() == image.crop(band).tobytes() for band in bands)
