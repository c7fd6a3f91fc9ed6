"""Metadata of photographs, and absolute paths in tables, stripped for privacy.

EXIF, XMP, IPTC, maker notes, comments, embedded previews and trailing data can hold the place, the time, the
camera's serial number, a name, or the uncropped photograph. Only what the decoding of the pixels depends on
is kept, and the mark of a synthetic image (`provenance`).
"""

import hashlib
import re

import pandas as pd

from morphoscope.cohort import png
from morphoscope.cohort.names import normalise_name
from morphoscope.cohort.provenance import mark_chunks

_JPEG_START, _JPEG_END, _JPEG_SCAN = 0xD8, 0xD9, 0xDA
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")  # a marker may be preceded by fill bytes
_AFTER_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # neither a stuffed 0xff nor a restart marker
# ITU T.81, table B.1: frames, Huffman and arithmetic tables (C0-CF), scan, quantisation, line count, restart.
_JPEG_PIXELS = {*range(0xC0, 0xD0), _JPEG_SCAN, 0xDB, 0xDC, 0xDD}

_PNG_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"tRNS"}

_ABSOLUTE_PATH = re.compile(r"/+[^/]|~[/\\]|\\|[A-Za-z]:[/\\]|file:")


def strip_metadata(data: bytes) -> bytes | None:
    """Remove the metadata from a JPEG or PNG file; the compressed pixels are copied bit for bit.

    JPEG keeps the coded image, the JFIF header (its thumbnail removed), the ICC profile (APP2) and Adobe's
    colour transform (APP14). PNG keeps the critical chunks, iCCP, sRGB, gAMA, cHRM and tRNS, and the mark of
    a synthetic image. Whatever follows the end of the image (a second photograph, a video) is dropped.

    Args:
        data: the bytes of the file.

    Returns:
        The file that decodes to the same pixels; None if it is neither JPEG nor PNG or its structure cannot
        be parsed: then only decoding it and encoding the pixels again removes everything.
    """
    if data.startswith(png.SIGNATURE):
        chunks = list(png.chunks(data))
        if not chunks or chunks[-1][0] != b"IEND":
            return None
        mark = mark_chunks(chunks)
        kept = [chunk for kind, chunk in chunks if kind in _PNG_PIXELS or chunk in mark]
        return b"".join([png.SIGNATURE, *kept])
    if data.startswith(bytes([0xFF, _JPEG_START])):
        return _strip_jpeg(data)
    return None


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


def _strip_jpeg(data: bytes) -> bytes | None:
    kept = [bytes([0xFF, _JPEG_START])]
    position = 2
    while True:
        found = _JPEG_MARKER.match(data, position)
        if found is None:
            return None
        marker, position = found[1][0], found.end()
        if marker == _JPEG_END:
            return b"".join([*kept, bytes([0xFF, _JPEG_END])])
        end = position + int.from_bytes(data[position : position + 2], "big")
        if end < position + 2 or end > len(data):
            return None
        content = _kept_content(marker, data[position + 2 : end])
        if content is not None:
            kept += [bytes([0xFF, marker]), (len(content) + 2).to_bytes(2, "big"), content]
        position = end
        if marker == _JPEG_SCAN:
            following = _AFTER_SCAN.search(data, position)
            if following is None:
                return None
            kept.append(data[position : following.start()])
            position = following.start()


def _kept_content(marker: int, content: bytes) -> bytes | None:
    """What is kept of one JPEG segment; None if nothing is."""
    if marker in _JPEG_PIXELS:
        return content
    if marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14:
        return content[:12] + b"\0\0"  # version and density; a thumbnail of 0 x 0
    if marker == 0xE2 and content.startswith(b"ICC_PROFILE\0"):
        return content
    if marker == 0xEE and content.startswith(b"Adobe"):
        return content[:12]
    return None
