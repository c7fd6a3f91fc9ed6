"""GIF files block by block (GIF89a), and XMP in them (XMP specification, part 3), without decoding pixels."""

from collections.abc import Iterator

SIGNATURE = b"GIF8"
_SCREEN_END = 13  # signature and logical screen
_EXTENSION, _APPLICATION = 0x21, 0xFF
_XMP = b"XMP DataXMP"  # application and its code
# The packet is not cut into blocks. Wherever a reader that takes its bytes for lengths of blocks arrives in
# this trailer, it is led to the trailer's end.
_TRAILER = bytes([1, *range(255, -1, -1), 0])


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(start of the extension, block) of all blocks in the extensions before the first image."""
    position = _palette_end(data)
    while data[position : position + 1] == bytes([_EXTENSION]):
        start = position
        position += 2
        while length := int.from_bytes(data[position : position + 1]):
            yield start, data[position + 1 : position + 1 + length]
            position += 1 + length
        position += 1


def find_xmp(data: bytes) -> bytes | None:
    """The XMP packet before the first image; None if there is none, or `data` is no GIF file."""
    if not data.startswith(SIGNATURE):
        return None
    for start, block in blocks(data):
        if block == _XMP and data[start + 1] == _APPLICATION:
            first = start + 3 + len(_XMP)
            end = data.find(_TRAILER, first)
            return None if end < 0 else data[first:end]
    return None


def insert_xmp(data: bytes, packet: bytes) -> bytes:
    """The GIF file `data` with an XMP packet before its first image."""
    head = bytes([_EXTENSION, _APPLICATION, len(_XMP)]) + _XMP
    position = _palette_end(data)
    return data[:position] + head + packet + _TRAILER + data[position:]


def _palette_end(data: bytes) -> int:
    """Where the global palette ends, or would begin."""
    has_palette = len(data) > 10 and data[10] & 0x80
    return _SCREEN_END + (3 * 2 ** (data[10] % 8 + 1) if has_palette else 0)
