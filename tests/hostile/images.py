"""Image files that cost a decoder far more than a photograph does, each of a few kilobytes or megabytes."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from morphoscope.cohort import jpeg


def photograph(height: int = 48, width: int = 64, seed: int = 0) -> Image.Image:
    """Smooth colours, like skin out of focus."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png(width: int, height: int, pixels: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """An 8-bit RGB PNG of these filtered rows, with further chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def jpeg_segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def many_scans(extra: int = 300, side: int = 64) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded(photograph(side, side), "JPEG", progressive=True)
    found = jpeg.segments(data, 1000)
    assert found is not None and found[-1].marker == jpeg.SCAN
    last = data[found[-1].start - 4 : found[-1].coded_end]
    return data[:-2] + last * extra + data[-2:]


def many_scans_behind_junk() -> bytes:
    """The same behind a byte between two segments, which decoders pass over."""
    data = many_scans()
    return data[:2] + jpeg_segment(0xE1, b"Exif") + b"\0" + data[2:]


def fill_bytes(count: int = 200_000) -> bytes:
    """A marker may follow any number of 0xff."""
    data = encoded(photograph(), "JPEG")
    return data[:2] + b"\xff" * count + data[2:]


def fill_bytes_in_the_coded_image() -> bytes:
    """Runs of 0xff that are no marker, for which a search that steps back needs quadratic time."""
    data = encoded(photograph(), "JPEG")
    return data[:-2] + b"\xff" * 300_000 + b"\0" + data[-2:]


def strip_of_pixels() -> bytes:
    return png(1, 20_000, bytes(20_000 * 4))


def too_wide() -> bytes:
    return png(20_001, 300, b"")


def too_many_pixels() -> bytes:
    return png(10_000, 10_000, b"")


def many_chunks() -> bytes:
    return png(4, 4, bytes(4 * 13), *[(b"tEXt", b"a\0b")] * 100_001)


def entries_of_the_same_bytes(count: int = 2000, values: int = 60_000) -> bytes:
    """A TIFF directory, or EXIF data, whose entries all point to the whole file."""
    entries = b"".join(struct.pack("<HHII", 40_000 + i, 1, values, 8) for i in range(count))
    directory = struct.pack("<H", count) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8) + directory.ljust(values, b"\0")


def exif_of_the_same_bytes() -> bytes:
    data = encoded(photograph(), "JPEG")
    return data[:2] + jpeg_segment(0xE1, b"Exif\0\0" + entries_of_the_same_bytes(4000)) + data[2:]


def other_images_of_the_same_bytes() -> bytes:
    data = encoded(photograph(), "JPEG")
    return data[:2] + jpeg_segment(0xE2, b"MPF\0" + entries_of_the_same_bytes(4000)) + data[2:]


def exif_in_a_png() -> bytes:
    return png(4, 4, bytes(4 * 13), (b"eXIf", entries_of_the_same_bytes(4000, 500_000)))


def many_tiles() -> bytes:
    """A TIFF that names the places of a million tiles."""
    entries = [(256, 4, 1, 4000), (257, 4, 1, 4000), (322, 4, 1, 4), (323, 4, 1, 4), (324, 4, 1_000_000, 200)]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    directory = struct.pack("<H", len(entries)) + packed + struct.pack("<I", 0)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(4_000_200, b"\0")


def long_comment() -> bytes:
    """A GIF whose comment has a hundred thousand blocks."""
    data = encoded(photograph().convert("P"), "GIF")
    start = 13 + 3 * 2 ** (data[10] % 8 + 1)
    return data[:start] + b"\x21\xfe" + (b"\xff" + b"x" * 255) * 100_000 + b"\0" + data[start:]


def run_lengths() -> bytes:
    """A run-length coded BMP with runs of one pixel."""
    side = 4000
    coded = (b"\x01\x02" * side + b"\0\0") * side
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(coded), 0, 0, 256, 0)
    palette = bytes(4 * 256)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(coded), 0, 0, start) + header + palette + coded


COSTLY: list[Callable[[], bytes]] = [
    many_scans,
    many_scans_behind_junk,
    fill_bytes,
    strip_of_pixels,
    too_wide,
    too_many_pixels,
    many_chunks,
    entries_of_the_same_bytes,
    exif_of_the_same_bytes,
    other_images_of_the_same_bytes,
    exif_in_a_png,
    many_tiles,
    long_comment,
    run_lengths,
]
