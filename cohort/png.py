"""PNG files chunk by chunk (ISO/IEC 15948), without decoding their pixels."""

import zlib
from collections.abc import Iterable, Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = len(SIGNATURE) + 25  # IHDR, the first chunk, has 13 bytes and 12 around them
_TEXTS = {b"tEXt", b"iTXt", b"zTXt"}


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, whole chunk) up to IEND or to a chunk that is cut short; nothing if `data` is no PNG file."""
    position, kind = len(SIGNATURE), b"" if data.startswith(SIGNATURE) else b"IEND"
    while kind != b"IEND":
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            return
        yield kind, data[position:end]
        position = end


def chunk(kind: bytes, content: bytes) -> bytes:
    """A whole chunk."""
    check = zlib.crc32(kind + content)
    return len(content).to_bytes(4) + kind + content + check.to_bytes(4)


def text_key(kind: bytes, chunk: bytes) -> bytes | None:
    """The keyword of a text chunk; None for a chunk of another type."""
    return chunk[8:].partition(b"\0")[0] if kind in _TEXTS else None


def insert_after_header(data: bytes, added: Iterable[bytes]) -> bytes:
    """The PNG file `data` with whole chunks added behind its header."""
    return data[:_HEADER_END] + b"".join(added) + data[_HEADER_END:]
