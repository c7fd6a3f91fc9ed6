"""A JPEG file built again from what its pixels need, around the same coded data (ITU T.81).

Tables that no scan uses, tables defined twice, segments that decoders skip, and bytes between the last block
and the next marker can hold anything. Only sequential files with one scan are built again: in progressive
ones each scan would have to be decoded alone to know where it ends.
"""

import math
import os
import re
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

from PIL import Image

from morphoscope.cohort import jpeg
from morphoscope.cohort.colour_profiles import jpeg_segments as profile_segments

_BASELINE, _SEQUENTIAL = 0xC0, 0xC1
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # C4: Huffman tables, C8: reserved, CC: arithmetic tables
_QUANTISATION, _HUFFMAN, _INTERVAL = 0xDB, 0xC4, 0xDD
_JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"  # version 1.1, square pixels, no thumbnail
_ADOBE = b"Adobe\0\x64\0\0\0\0"  # version 100; the colour transform follows
_RESTART = re.compile(rb"\xff++([\xd0-\xd7])")
_END = b"\xff\xd9"
_MOST_SEGMENTS, _MOST_INTERVALS = 10_000, 10_000
_LARGEST_SIDE = 65_500  # of a JPEG, in libjpeg


class _Parts(NamedTuple):
    """What decoding needs: headers of frame and scan, coded data, tables by their number, colour model."""

    frame: bytes
    scan: bytes
    coded: bytes
    quantisation: dict[int, bytes]
    huffman: dict[int, bytes]
    interval: int
    is_jfif: bool
    transform: int | None


def rebuild(data: bytes, profile: bytes | None) -> bytes | None:
    """The file that decodes to the same pixels, with this ICC profile and nothing else.

    Returns:
        None if the structure is not that of a sequential RGB file with one scan, or if bytes follow the last
        block of the image or of a restart interval. (Up to seven bytes there may go unnoticed.)
    """
    try:
        parts = _parts(data)
        if parts is None:
            return None
        intervals = _intervals(parts)
        if intervals is None or any(_has_surplus(parts, *interval) for interval in intervals):
            return None
    except (IndexError, KeyError, ValueError, OSError, SyntaxError):  # shorter than it says, or undecodable
        return None
    coded = b"".join(
        piece + (bytes([0xFF, 0xD0 + number % 8]) if number < len(intervals) - 1 else b"")
        for number, (piece, _, _) in enumerate(intervals)
    )
    return _header(parts, profile, parts.frame, parts.interval) + coded + _END


def _parts(data: bytes) -> _Parts | None:
    found = jpeg.segments(data, _MOST_SEGMENTS)
    if found is None or sum(segment.marker == jpeg.SCAN for segment in found) != 1:
        return None
    frames = [segment for segment in found if segment.marker in _FRAMES]
    if len(frames) != 1 or frames[0].marker not in (_BASELINE, _SEQUENTIAL):
        return None
    quantisation: dict[int, bytes] = {}
    huffman: dict[int, bytes] = {}
    interval, is_jfif, transform = 0, False, None
    for segment in found:
        content = data[segment.start : segment.end]
        if segment.marker == _QUANTISATION:
            found_tables = _tables(content, lambda head, rest: 128 if head >> 4 else 64)
            quantisation |= {head & 15: table for head, table in found_tables.items()}
        elif segment.marker == _HUFFMAN:
            huffman |= _tables(content, lambda head, rest: 16 + sum(rest[:16]))
        elif segment.marker == _INTERVAL:
            interval = int.from_bytes(content[:2])
        elif segment.marker == 0xE0 and content.startswith(b"JFIF\0"):
            is_jfif = True
        elif segment.marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12:
            transform = content[11]
        elif segment.marker == jpeg.SCAN:
            break  # what follows is not used
    frame = bytes([0xFF, frames[0].marker]) + data[frames[0].start - 2 : frames[0].end]
    scan, coded = data[segment.start : segment.end], data[segment.end : segment.coded_end]
    three = len(frame) == 19 and frame[4] == 8 and frame[9] == 3
    whole = len(scan) == 10 and scan[0] == 3 and scan[7:] == b"\0\x3f\0" and scan[1:7:2] == frame[10::3]
    if not (three and whole):
        return None
    return _Parts(frame, scan, coded, quantisation, huffman, interval, is_jfif, transform)


def _tables(content: bytes, length: Callable[[int, bytes], int]) -> dict[int, bytes]:
    """Tables of one segment by their first byte; ValueError if they do not fill it."""
    tables, position = {}, 0
    while position < len(content):
        end = position + 1 + length(content[position], content[position + 1 :])
        if end > len(content):
            raise ValueError("a table is cut short")
        tables[content[position]] = content[position:end]
        position = end
    return tables


def _intervals(parts: _Parts) -> list[tuple[bytes, int, int]] | None:
    """(coded data, width, height) of each restart interval as an image of its own, in pixels."""
    height, width = int.from_bytes(parts.frame[5:7]), int.from_bytes(parts.frame[7:9])
    samplings = parts.frame[11::3]
    across, down = 8 * max(s >> 4 for s in samplings), 8 * max(s & 15 for s in samplings)
    columns, total = math.ceil(width / across), math.ceil(width / across) * math.ceil(height / down)
    pieces = _RESTART.split(parts.coded)
    numbers = [marker[0] - 0xD0 for marker in pieces[1::2]]
    pieces = pieces[::2]
    each = parts.interval or total
    if (
        len(pieces) != math.ceil(total / each)
        or len(pieces) > _MOST_INTERVALS
        or any(b"\xff\xff" in p for p in pieces)
    ):
        return None
    if numbers != [number % 8 for number in range(len(numbers))]:
        return None
    if len(pieces) == 1:
        return [(pieces[0], width, height)]
    sizes = []
    for number in range(len(pieces)):
        blocks = min(each, total - number * each)
        rows = blocks // columns if blocks % columns == 0 else 1  # as a rectangle, since sides are limited
        sizes.append((blocks // rows * across, rows * down))
    if max(map(max, sizes)) > _LARGEST_SIDE:
        return None
    return [(piece, *size) for piece, size in zip(pieces, sizes, strict=True)]


def _has_surplus(parts: _Parts, coded: bytes, width: int, height: int) -> bool:
    """Whether the decoder finishes the last row of pixels without the last byte of the coded data.

    It reads up to seven bytes ahead, and waits where there are none: with eight too many it always finishes.
    """
    frame = parts.frame[:5] + height.to_bytes(2) + width.to_bytes(2) + parts.frame[9:]
    data = _header(parts, None, frame, interval=0) + coded
    with Image.open(BytesIO(data + _END), formats=("JPEG",)) as image:
        (tile,) = image.tile
        decoder = Image._getdecoder(image.mode, tile.codec_name, tile.args, image.decoderconfig)
        blank = tuple(os.urandom(3))
        canvas = Image.new("RGB", image.size, blank)
        decoder.setimage(canvas.im, tile.extents)
        decoder.decode(data[:-1])
    last = canvas.crop((0, height - 1, width, height))
    return last.tobytes() != bytes(blank) * width


def _header(parts: _Parts, profile: bytes | None, frame: bytes, interval: int) -> bytes:
    """Everything before the coded data, in the order in which libjpeg writes it."""
    segments: list[tuple[int, bytes]] = []
    if parts.is_jfif:
        segments.append((0xE0, _JFIF))
    if parts.transform is not None:
        segments.append((0xEE, _ADOBE + bytes([parts.transform])))
    segments += [(0xE2, content) for content in profile_segments(profile)]
    used = dict.fromkeys(parts.frame[12::3])
    segments += [(_QUANTISATION, parts.quantisation[number]) for number in used]
    tables = dict.fromkeys(number for pair in parts.scan[2:8:2] for number in (pair >> 4, 0x10 | pair & 15))
    after = [(_HUFFMAN, parts.huffman[number]) for number in tables]
    if interval:
        after.append((_INTERVAL, interval.to_bytes(2)))
    after.append((jpeg.SCAN, parts.scan))
    return jpeg.SIGNATURE + _joined(segments) + frame + _joined(after)


def _joined(segments: list[tuple[int, bytes]]) -> bytes:
    return b"".join(
        bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content for marker, content in segments
    )
