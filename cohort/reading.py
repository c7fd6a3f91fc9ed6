"""From the bytes of any photograph to 8-bit RGB, or to an error that names the file and the reason."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from morphoscope.cohort.colour_profiles import rgb_profile
from morphoscope.cohort.costs import (
    TOO_LARGE,
    refuse_costly_exif,
    refuse_costly_file,
    refuse_costly_image,
    refuse_costly_size,
)
from morphoscope.configs import UserError, arguments
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_atomically

MAX_FILE_BYTES = 512 * 2**20
# Only raster formats whose decoders are part of Pillow: none of them runs another program.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")
# This room's own limit is lower, and refuses instead of warning.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
Image.init()  # `Image.open(formats=…)` knows a format only once its plugin is loaded

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"mif1", b"msf1")
_PLAIN_SUFFIXES = {"JPEG": {".jpg", ".jpeg"}, "MPO": {".jpg", ".jpeg"}, "PNG": {".png"}}
_PNG_BIT_DEPTH_OFFSET = 24  # signature (8), chunk length and type (8), width and height (8)
_BAND = 256  # rows that are converted at a time
# How EXIF says that the camera was held: what turns the image upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
# What Pillow's decoders raise for damaged data (found by flipping bytes in files of each format).
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, OverflowError, TypeError)


def read_image(source: Path | str | bytes, name: str | None = None) -> np.ndarray:
    """Read one image, normalised to 8-bit RGB.

    EXIF (or XMP) orientation is applied; palette, grey, CMYK and 16-bit images are converted; transparent
    images are composited on white; the first of several frames is read. Embedded colour profiles are not
    applied.

    Args:
        source: a file, or the file's bytes.
        name: of the image in error messages (default: the path, or "image").

    Returns:
        uint8 [H, W, 3], RGB, 0-255.

    Raises:
        UserError: the file is missing, empty, damaged or truncated, is not an image, has floating-point
            pixels, or costs too much: more than 64 megapixels, 20,000 pixels on a side, 100 times as long as
            wide, 512 MiB, or a structure that keeps decoders busy (see `costs`). The message names the file
            and the reason.
    """
    if name is not None:
        arguments.text("name", name)
    if isinstance(source, bytes):
        data, name = source, name or "image"
    else:
        source = arguments.path("source", source, "the path of an image, or the bytes of its file")
        name = name or str(source)
        data = read_regular(source, MAX_FILE_BYTES, name)
    return np.array(decode(data, name)[0])


class Decoded(NamedTuple):
    """What a file holds.

    Attributes:
        image: RGB, upright, without metadata.
        plain: whether the file is an upright 8-bit RGB JPEG or PNG with the suffix of its format: normalising
            it changes nothing.
        profile: the ICC profile that the pixels' colours are in; None for none.
    """

    image: Image.Image
    plain: bool
    profile: bytes | None


def decode(data: bytes, name: str) -> Decoded:
    """Decode and normalise like `read_image`.

    Raises:
        UserError: as for `read_image`.
    """
    if not data:
        raise UserError(f"{name}: empty file (0 bytes).")
    scans = refuse_costly_file(data, name)
    with _damage_named(name, data), Image.open(BytesIO(data), formats=FORMATS) as image:
        refuse_costly_image(image, len(data), scans, name)
        image.load()
        upright, orientation = _normalised(image, name)
        plain = orientation == 1 and _is_plain(image, data, name)
        return Decoded(upright, plain, rgb_profile(image))


def pixels_of(image: Image.Image, name: str = "image") -> np.ndarray:
    """The pixels of an image that was opened or made with Pillow, normalised like a file's by `read_image`.

    Returns:
        uint8 [H, W, 3], RGB, 0-255.

    Raises:
        UserError: damaged, with floating-point pixels, or of a size that `read_image` refuses.
    """
    with _damage_named(name):
        refuse_costly_size(image, name)
        image.load()
        return np.array(_normalised(image, name)[0])


@contextmanager
def _damage_named(name: str, data: bytes = b"") -> Iterator[None]:
    """What Pillow raises for damaged data becomes a UserError that names the image, and what `data` are."""
    try:
        yield
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"{name}: {_not_readable(data)}") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: {TOO_LARGE}") from error
    except MemoryError as error:
        raise UserError(
            f"{name}: too large for the memory of this computer. Scale the image down."
        ) from error
    except _DAMAGE as error:
        raise UserError(f"{name}: damaged image ({error}). Replace or remove the file.") from error


def _not_readable(data: bytes) -> str:
    """What a file of no known format is, where its first bytes tell, and what to do."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return (
            "a HEIC photograph, as iPhones take them, which cannot be read. Export it as JPEG, or set the "
            "telephone to take JPEG (iPhone: Settings > Camera > Formats > Most Compatible)."
        )
    if data[128:132] == b"DICM":
        return "a DICOM file, which cannot be read. Export its image as PNG or JPEG, without names and dates."
    return f"not an image of a known format ({', '.join(FORMATS)}). Convert or remove it."


def _normalised(image: Image.Image, name: str) -> tuple[Image.Image, int]:
    """(RGB, upright and without metadata; the EXIF orientation it had) of a decoded image."""
    refuse_costly_exif(image, name)
    orientation = image.getexif().get(_ORIENTATION, 1)
    rgb = _to_rgb(image, name)
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
    rgb.info = {}  # so that no writer finds metadata in it
    return rgb, orientation


def encode_png(image: Image.Image) -> bytes:
    """The image as a PNG file without metadata."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 [H, W, 3] RGB (or [H, W] grey, for masks) atomically as a PNG file.

    Raises:
        UserError: pixels of another kind, or the folder cannot be written or the disk is full.
    """
    path = arguments.path("path", path)
    shape = getattr(pixels, "shape", ())
    if getattr(pixels, "dtype", None) != np.uint8 or 0 in shape or (len(shape) != 2 and shape[2:] != (3,)):
        arguments.refuse("pixels", "uint8 [H, W, 3] (RGB) or [H, W] (grey)", pixels)
    with write_atomically(path) as temporary:
        temporary.write_bytes(encode_png(Image.fromarray(pixels)))


def _is_plain(image: Image.Image, data: bytes, name: str) -> bool:
    image_format = image.format or ""
    if image.mode != "RGB" or image.has_transparency_data:
        return False
    if Path(name).suffix.lower() not in _PLAIN_SUFFIXES.get(image_format, set()):
        return False
    return image_format != "PNG" or (data[_PNG_BIT_DEPTH_OFFSET] == 8 and getattr(image, "n_frames", 1) == 1)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Convert in bands, so that only the result has the size of the image.

    Pillow's copies of a large image would take several times the memory of the image itself.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.copy()  # the opened file's own image ends with it
    result = Image.new("RGB", image.size)
    for top in range(0, image.height, _BAND):
        bottom = min(top + _BAND, image.height)
        result.paste(_band_to_rgb(image.crop((0, top, image.width, bottom)), name), (0, top))
    return result


def _band_to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise UserError(f"{name}: floating-point pixels; save the image with 8 or 16 bits per channel.")
    if image.mode.startswith("I"):  # 16-bit grey; Pillow keeps some of these files in 32-bit integers
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UserError(f"{name}: more than 16 bits per pixel; save the image with 8 or 16.")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")  # 65535 = 255 * 257
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
