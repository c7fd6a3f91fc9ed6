"""What a photograph says beside its pixels, removed without touching them.

EXIF, XMP, IPTC, maker notes, comments, embedded previews and trailing data can hold the place, the time, the
camera's serial number, a name, or the uncropped picture. Only what the decoding of the pixels depends on is
kept, and the marks by which a synthetic image says that it is one.
"""

import re
from collections.abc import Iterator

_JPEG_START, _JPEG_END, _JPEG_SCAN = 0xD8, 0xD9, 0xDA
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")  # a marker may be preceded by fill bytes
_AFTER_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # neither a stuffed 0xff nor a restart marker
# ITU T.81, table B.1: frames, Huffman and arithmetic tables (C0-CF), scan, quantisation, line count, restart.
_JPEG_PIXELS = {*range(0xC0, 0xD0), _JPEG_SCAN, 0xDB, 0xDC, 0xDD}

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"tRNS"}
_PNG_HEADER_END = len(_PNG_SIGNATURE) + 25  # IHDR, the first chunk, has 13 bytes and 12 around them
_PNG_TEXTS = {b"tEXt", b"iTXt", b"zTXt"}
_MARKS = {b"Synthetic", b"Morphoscope", b"Software"}

_ABSOLUTE_PATH = re.compile(r"/+[^/]|~[/\\]|\\|[A-Za-z]:[/\\]|file:")


def strip_metadata(data: bytes) -> bytes | None:
    """A JPEG or PNG file that decodes to the same pixels, without its metadata.

    JPEG keeps the coded image, the JFIF header (its thumbnail removed), the ICC profile (APP2) and Adobe's
    colour transform (APP14). PNG keeps the critical chunks, iCCP, sRGB, gAMA, cHRM and tRNS, and in an
    image marked as synthetic the texts Synthetic, Morphoscope and Software. What follows the image's end (a
    second picture, a film) is dropped. The compressed pixels are copied bit for bit.

    Returns:
        None if the file is neither, or its structure cannot be followed: then only decoding and encoding it
        anew removes everything.
    """
    if data.startswith(_PNG_SIGNATURE):
        chunks = list(_png_chunks(data))
        if not chunks or chunks[-1][0] != b"IEND":
            return None
        return b"".join([_PNG_SIGNATURE, *_kept_chunks(chunks)])
    if data.startswith(bytes([0xFF, _JPEG_START])):
        return _strip_jpeg(data)
    return None


def carry_marks(source: bytes, png: bytes) -> bytes:
    """`png` with the marks of a synthetic image that the PNG file `source` carries, if it carries any."""
    if not source.startswith(_PNG_SIGNATURE):
        return png
    marks = b"".join(_marks(list(_png_chunks(source))))
    return png[:_PNG_HEADER_END] + marks + png[_PNG_HEADER_END:]


def is_marked_synthetic(data: bytes) -> bool:
    """Whether `data` is a PNG file with the text by which a synthetic image says that it is one."""
    return data.startswith(_PNG_SIGNATURE) and bool(_marks(list(_png_chunks(data))))


def is_absolute_path(text: str) -> bool:
    """Whether `text` is an absolute path or file address of any system: it may tell user or patient names."""
    return _ABSOLUTE_PATH.match(text) is not None


def file_name(path: str) -> str:
    """The last part of a path of any system."""
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


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, whole chunk) up to IEND, or up to a chunk that is cut short."""
    position, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            return
        yield kind, data[position:end]
        position = end


def _kept_chunks(chunks: list[tuple[bytes, bytes]]) -> list[bytes]:
    marks = set(_marks(chunks))
    return [chunk for kind, chunk in chunks if kind in _PNG_PIXELS or chunk in marks]


def _marks(chunks: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The texts of a synthetic image; none where the text Synthetic is missing."""
    texts = {
        chunk: chunk[8:].partition(b"\0")[0]
        for kind, chunk in chunks
        if kind in _PNG_TEXTS and chunk[8:].partition(b"\0")[0] in _MARKS
    }
    return list(texts) if b"Synthetic" in texts.values() else []
