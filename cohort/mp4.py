"""MP4 files box by box (ISO/IEC 14496-12), and XMP in them (XMP specification, part 3)."""

from collections.abc import Iterator
from uuid import UUID

_XMP = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
_BRANDS = {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V "}
_MAX_BOXES = 10_000  # at the top level; films have half a dozen


def is_mp4(data: bytes) -> bool:
    """Whether `data` begins like an MP4 file; HEIF and others of the family do not."""
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS


def boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start and end of the content) of the boxes at the top level, up to one that is cut short."""
    position = 0
    for _ in range(_MAX_BOXES):
        size, start = int.from_bytes(data[position : position + 4]), 8
        kind = data[position + 4 : position + 8]
        if size == 1:  # a 64-bit size follows
            size, start = int.from_bytes(data[position + 8 : position + 16]), 16
        end = position + size if size else len(data)
        if (size and size < start) or end > len(data) or len(kind) < 4:
            return
        yield kind, position + start, end
        position = end


def find_xmp(data: bytes) -> bytes | None:
    """The XMP packet at the top level; None if there is none, or `data` is no MP4 file."""
    if not is_mp4(data):
        return None
    for kind, start, end in boxes(data):
        if kind == b"uuid" and data[start:end].startswith(_XMP):
            return data[start + len(_XMP) : end]
    return None


def xmp_box(packet: bytes) -> bytes:
    """A whole box that holds an XMP packet, to be appended to a file."""
    content = _XMP + packet
    return (8 + len(content)).to_bytes(4) + b"uuid" + content
