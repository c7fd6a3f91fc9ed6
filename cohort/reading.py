"""From the bytes of any photograph to 8-bit RGB, or to an error that names the file and the reason."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_atomically

MAX_PIXELS = 64_000_000  # width x height; larger images are refused by their header, before decoding
MAX_FILE_BYTES = 512 * 2**20
_TOO_LARGE = f"at most {MAX_PIXELS // 1_000_000} megapixels can be read. Scale the image down."
# Only raster formats whose decoders are part of Pillow: none of them runs another program.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")
Image.init()  # `Image.open(formats=…)` knows a format only once its plugin is loaded

_PLAIN_SUFFIXES = {"JPEG": {".jpg", ".jpeg"}, "MPO": {".jpg", ".jpeg"}, "PNG": {".png"}}
_PNG_BIT_DEPTH_OFFSET = 24  # signature (8), chunk length and type (8), width and height (8)
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
            pixels, or is larger than 64 megapixels or 512 MiB; the message names the file and the reason.
    """
    if isinstance(source, bytes):
        data, name = source, name or "image"
    else:
        name = name or str(source)
        data = read_regular(Path(source), MAX_FILE_BYTES, name)
    return np.array(decode(data, name)[0])


def decode(data: bytes, name: str) -> tuple[Image.Image, bool]:
    """Decode and normalise like `read_image`.

    Returns:
        (RGB image, whether `data` is plain). A plain file is an upright 8-bit RGB JPEG or PNG with the suffix
        of its format: normalising it changes nothing.

    Raises:
        UserError: as for `read_image`.
    """
    if not data:
        raise UserError(f"{name}: empty file (0 bytes).")
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UserError(f"{name}: {width} x {height} pixels; {_TOO_LARGE}")
            image.load()
            plain = _is_plain(image, data, name)
            return _to_rgb(ImageOps.exif_transpose(image), name), plain
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(
            f"{name}: not an image of a known format ({', '.join(FORMATS)}). Convert or remove it."
        ) from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: {_TOO_LARGE}") from error
    except _DAMAGE as error:
        raise UserError(f"{name}: damaged image ({error}). Replace or remove the file.") from error


def encode_png(image: Image.Image) -> bytes:
    """The image as a PNG file without metadata."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 [H, W, 3] RGB (or [H, W] grey, for masks) atomically as a PNG file.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    with write_atomically(path) as temporary:
        temporary.write_bytes(encode_png(Image.fromarray(pixels)))


def _is_plain(image: Image.Image, data: bytes, name: str) -> bool:
    image_format = image.format or ""
    if image.mode != "RGB" or image.has_transparency_data:
        return False
    if Path(name).suffix.lower() not in _PLAIN_SUFFIXES.get(image_format, set()):
        return False
    if image_format == "PNG" and (data[_PNG_BIT_DEPTH_OFFSET] != 8 or getattr(image, "n_frames", 1) > 1):
        return False
    return image.getexif().get(0x0112, 1) == 1  # orientation


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
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
