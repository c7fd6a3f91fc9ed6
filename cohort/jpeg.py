"""JPEG files segment by segment (ITU T.81), without decoding their pixels."""

import re
from typing import NamedTuple

SIGNATURE = b"\xff\xd8"
SCAN = 0xDA
_END = 0xD9
# Markers that stand alone (restarts, TEM, a second start): between segments they are a fault.
_ALONE = {0x01, *range(0xD0, 0xD9)}
_MARKER = re.compile(rb"\xff+([^\x00\xff])")  # a marker may be preceded by fill bytes
# The end of coded data: neither a stuffed 0xff nor a restart. Runs of 0xff are passed over in one step.
_AFTER_SCAN = re.compile(rb"(?<!\xff)\xff++[^\x00\xd0-\xd7\xff]")


class Segment(NamedTuple):
    """A marker and what belongs to it, as places in the file.

    Attributes:
        fill: superfluous 0xff before the marker.
        start, end: of the content.
        coded_end: where the coded pixels that follow the header of a scan end; else `end`.
    """

    marker: int
    fill: int
    start: int
    end: int
    coded_end: int


def segments(data: bytes, most: int) -> list[Segment] | None:
    """All segments up to the end of the image.

    Returns:
        None for what is no JPEG file, is cut short, has more than `most` segments, or has anything that a
        decoder could read in another way.
    """
    if not data.startswith(SIGNATURE):
        return None
    found: list[Segment] = []
    position = len(SIGNATURE)
    while len(found) <= most:
        marker = _MARKER.match(data, position)
        if marker is None or marker[1][0] in _ALONE:
            return None
        fill = marker.end() - position - 2
        if marker[1][0] == _END:
            return found
        position = marker.end() + 2
        end = position + int.from_bytes(data[position - 2 : position], "big") - 2
        if end < position or end > len(data):
            return None
        coded_end = end
        if marker[1][0] == SCAN:
            following = _AFTER_SCAN.search(data, end)
            if following is None or data[end - 1] == 0xFF:
                return None
            coded_end = following.start()
        found.append(Segment(marker[1][0], fill, position, end, coded_end))
        position = coded_end
    return None
