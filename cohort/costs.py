"""Images whose decoding would cost too much, refused by what their headers say, before anything is decoded.

A file of a few kilobytes can keep a decoder busy for a minute or fill the memory. The limits are far beyond
photographs. They bound the work by counting it: a time limit would refuse a good image on a busy computer.
"""

import re
import struct
from itertools import islice

from PIL import Image, ImageFile

from morphoscope.cohort import gif, jpeg, png
from morphoscope.configs import UserError

MAX_PIXELS = 64_000_000  # width x height
MAX_SIDE = 20_000  # pixels
MAX_SHAPE = 100  # long side / short side
TOO_LARGE = f"at most {MAX_PIXELS // 1_000_000} megapixels can be read. Scale the image down."

# A progressive JPEG has about 10 scans, each of which goes over all coefficients.
_MAX_SCANS, _MAX_SCANNED_PIXELS = 50, 1_000_000_000
_MAX_FILL = 65_536  # bytes of 0xff before markers, which Pillow reads one by one
_MAX_PARTS = 100_000  # segments of a JPEG or chunks of a PNG
_MAX_RUN_LENGTH_CODED = 4 * 2**20  # bytes of a run-length coded BMP, which Pillow decodes in Python
_EXIF, _OTHER_IMAGES = b"Exif\0\0", b"MPF\0"  # how segments of a JPEG begin that hold a directory like TIFF's
_MAX_DIRECTORIES = 64
_MAX_GIF_BLOCKS = 2000
_MAX_TIFF_VALUES = 200_000  # of one entry, such as the places of the strips
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_TIFF_BYTES = {1, 2, 6, 7}  # types of single bytes: text, and whatever a program puts there


def refuse_costly_file(data: bytes, name: str) -> int:
    """Raise UserError for a file that is costly even to open.

    Returns:
        How often a decoder goes over the image: the scans of a JPEG file, otherwise 1.
    """
    scans, reason = 1, None
    if data.startswith(jpeg.SIGNATURE):
        scans, reason = _costly_jpeg(data)
    elif data.startswith(png.SIGNATURE):
        reason = _costly_png(data)
    elif data.startswith(gif.SIGNATURE):
        reason = _costly_gif(data)
    elif data[:2] in (b"II", b"MM"):
        reason = costly_directory(data)
    if reason is not None:
        raise UserError(f"{name}: {reason}. Save it again with another program, or remove it.")
    return scans


def refuse_costly_image(image: ImageFile.ImageFile, size: int, scans: int, name: str) -> None:
    """Raise UserError for an image that is too large or too costly to decode.

    Args:
        image: opened, but not decoded.
        size: of the file in bytes.
        scans: what `refuse_costly_file` returned.
    """
    refuse_costly_size(image, name)
    width, height = image.size
    if scans * width * height > _MAX_SCANNED_PIXELS:
        raise UserError(f"{name}: {scans} scans of {width} x {height} pixels. Save it as a baseline JPEG.")
    if any(tile.codec_name == "bmp_rle" for tile in image.tile) and size > _MAX_RUN_LENGTH_CODED:
        raise UserError(f"{name}: a run-length coded BMP larger than 4 MiB. Save it as PNG.")


def refuse_costly_size(image: Image.Image, name: str) -> None:
    """Raise UserError for an image with too many pixels, or of a shape that no photograph has."""
    width, height = image.size
    if 0 in image.size:
        raise UserError(f"{name}: {width} x {height} pixels; an image without pixels.")
    if width * height > MAX_PIXELS:
        raise UserError(f"{name}: {width} x {height} pixels; {TOO_LARGE}")
    if max(width, height) > MAX_SIDE:
        raise UserError(f"{name}: {width} x {height} pixels; at most {MAX_SIDE} on a side can be read.")
    if max(width, height) > MAX_SHAPE * min(width, height):
        raise UserError(
            f"{name}: {width} x {height} pixels: more than {MAX_SHAPE} times as long as wide, which no "
            "photograph is. Crop or remove it."
        )


def refuse_costly_exif(image: Image.Image, name: str) -> None:
    """Raise UserError for a decoded image with EXIF data that are costly to read."""
    exif = image.info.get("exif", b"")
    written = image.info.get("Raw profile type exif")  # how ImageMagick puts them into a PNG: as digits
    if not exif and isinstance(written, str):
        exif = bytes.fromhex("".join(written.split("\n")[3:]))
    reason = costly_directory(exif.removeprefix(_EXIF)) if isinstance(exif, bytes) else None
    if reason is not None:
        raise UserError(f"{name}: {reason}. Save it again with another program, or remove it.")


def costly_directory(data: bytes) -> str | None:
    """Why the first directory of a TIFF file, or of EXIF data, is costly to read; None if it is not.

    Its entries may all point to the same bytes, each of which a reader copies.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"\x2b\0", b"\0\x2b")
    place, count, entry = ("Q", "Q", "HHQQ") if big else ("L", "H", "HHLL")
    total = 0
    try:
        (start,) = struct.unpack_from(order + place, data, 8 if big else 4)
        (entries,) = struct.unpack_from(order + count, data, start)
        start += struct.calcsize(order + count)
        for number in range(entries):
            at = start + number * struct.calcsize(order + entry)
            _, kind, values, _ = struct.unpack_from(order + entry, data, at)
            total += min(values * _TIFF_SIZES.get(kind, 0), len(data))
            if values > _MAX_TIFF_VALUES and kind not in _TIFF_BYTES:
                return f"a TIFF entry of {values} values"
            if total > 2 * len(data) + _MAX_FILL:  # each byte once, and what entries may share
                return "TIFF entries of more bytes than there are"
    except (struct.error, OverflowError):
        return None  # cut short: a reader stops there, too
    return None


def _costly_jpeg(data: bytes) -> tuple[int, str | None]:
    """(scans, why they or something else are too costly)."""
    found = jpeg.segments(data, _MAX_PARTS)
    if found is None:
        # Decoders read many files of doubtful structure: whatever looks like a costly part counts as one.
        fill, scans = data.count(b"\xff\xff") * 2, data.count(bytes([0xFF, jpeg.SCAN]))
        parts = [at.end() for at in re.finditer(_EXIF + b"|" + _OTHER_IMAGES, data)]
        directories = [data[start : start + 2**16] for start in parts[:_MAX_DIRECTORIES]]
        count = len(parts)
    else:
        fill, scans = sum(segment.fill for segment in found), sum(s.marker == jpeg.SCAN for s in found)
        contents = [data[s.start : s.end] for s in found if s.marker in (0xE1, 0xE2)]
        exif = [content[len(_EXIF) :] for content in contents if content.startswith(_EXIF)]
        others = [content[len(_OTHER_IMAGES) :] for content in contents if content.startswith(_OTHER_IMAGES)]
        directories, count = [b"".join(exif), *others], len(exif) + len(others)
    if fill > _MAX_FILL:
        return scans, f"a JPEG file with {fill} fill bytes"
    if scans > _MAX_SCANS:
        return scans, f"a JPEG file with {scans} scans; at most {_MAX_SCANS} are read"
    if count > _MAX_DIRECTORIES:
        return scans, f"a JPEG file with {count} parts of EXIF data"
    return scans, next(filter(None, map(costly_directory, directories)), None)


def _costly_png(data: bytes) -> str | None:
    chunks = sum(1 for _ in islice(png.chunks(data), _MAX_PARTS + 1))
    return f"a PNG file of more than {_MAX_PARTS} chunks" if chunks > _MAX_PARTS else None


def _costly_gif(data: bytes) -> str | None:
    """Comments and the like before the image consist of blocks of at most 255 bytes; Pillow joins them."""
    blocks = sum(1 for _ in islice(gif.blocks(data), _MAX_GIF_BLOCKS + 1))
    if blocks > _MAX_GIF_BLOCKS:
        return f"a GIF file with more than {_MAX_GIF_BLOCKS} blocks before its image"
    return None
