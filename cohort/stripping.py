"""Metadata of photographs, and absolute paths in tables, stripped for privacy.

EXIF, XMP, IPTC, maker notes, comments, embedded previews and trailing data can hold the place, the time, the
camera's serial number, a name, or the uncropped photograph. Only what the decoding of the pixels depends on
is kept, and the mark of a synthetic image (`provenance`).
"""

import hashlib
import re
import struct
import zlib

import pandas as pd

from morphoscope.cohort import jpeg, jpeg_rebuilding, png
from morphoscope.cohort.colour_profiles import png_content
from morphoscope.cohort.marked_files import mark_chunks
from morphoscope.cohort.names import normalise_name

_RGB_HEADER = struct.Struct(">II5B")  # width, height; 8 bits, RGB, and three methods

_ABSOLUTE_PATH = re.compile(r"/+[^/]|~[/\\]|\\|[A-Za-z]:[/\\]|file:")


def strip_metadata(data: bytes, profile: bytes | None = None) -> bytes | None:
    """Remove the metadata from an 8-bit RGB JPEG or PNG file; the compressed pixels are copied bit for bit.

    The file is built again from what its pixels need: of a JPEG see `jpeg_rebuilding`; of a PNG the header
    and the compressed rows, and the mark of a synthetic image.

    Args:
        data: the bytes of the file.
        profile: ICC profile to write into the file.

    Returns:
        The file that decodes to the same pixels; None if it is neither, or if there is anything in its pixel
        data that cannot be accounted for: then only encoding the decoded pixels again removes everything.
    """
    if data.startswith(png.SIGNATURE):
        return _strip_png(data, profile)
    return jpeg_rebuilding.rebuild(data, profile) if data.startswith(jpeg.SIGNATURE) else None


def colour_profile_chunks(profile: bytes | None) -> list[bytes]:
    """The whole chunks, one or none, with which a PNG file carries an ICC profile."""
    return [png.chunk(b"iCCP", png_content(profile))] if profile is not None else []


def is_absolute_path(text: str) -> bool:
    """Whether `text` is an absolute path or file URL of any system: it may name users or patients."""
    return _ABSOLUTE_PATH.match(text) is not None


def strip_paths(rows: pd.DataFrame) -> pd.DataFrame:
    """Remove absolute paths from manifest rows, except in the column `file`, which importers rewrite.

    A path as `group` becomes "path-" and a short hash, so that groups stay distinct, also from those of other
    cohorts that may be joined; any other is cut to its last part.
    """
    result = rows.copy()
    for column in rows.columns.drop("file"):
        paths = rows[column].map(lambda cell: isinstance(cell, str) and is_absolute_path(cell)).astype(bool)
        replaced = _hashed if column == "group" else _last_part
        result.loc[paths, column] = rows[column][paths].map(replaced)
    return result


def _hashed(path: str) -> str:
    return f"path-{hashlib.sha256(normalise_name(path).encode()).hexdigest()[:10]}"


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _strip_png(data: bytes, profile: bytes | None) -> bytes | None:
    chunks = list(png.chunks(data))
    kinds = [kind for kind, _ in chunks]
    if kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND" or kinds.count(b"IHDR") > 1:
        return None
    header = chunks[0][1][8:-4]
    if len(header) != _RGB_HEADER.size:
        return None
    width, height, *methods = _RGB_HEADER.unpack(header)
    coded = b"".join(chunk[8:-4] for kind, chunk in chunks if kind == b"IDAT")
    if methods != [8, 2, 0, 0, 0] or not _holds_exactly(coded, height * (1 + 3 * width)):
        return None
    return b"".join(
        [
            png.SIGNATURE,
            png.chunk(b"IHDR", header),
            *mark_chunks(chunks),
            *colour_profile_chunks(profile),
            png.chunk(b"IDAT", coded),
            png.chunk(b"IEND", b""),
        ]
    )


def _holds_exactly(coded: bytes, size: int) -> bool:
    """Whether compressed data, with nothing behind them, unpack to this number of bytes."""
    stream = zlib.decompressobj()
    try:
        unpacked = len(stream.decompress(coded, size + 1))
    except zlib.error:
        return False
    return unpacked == size and stream.eof and not stream.unused_data and not stream.unconsumed_tail
