"""Photographs with a text hidden in every place that decoders pass over."""

import zlib
from collections.abc import Callable
from io import BytesIO

from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from hostile.images import encoded, jpeg_segment, photograph, png_chunk
from morphoscope.cohort import jpeg, png


def profile(payload: bytes = b"") -> bytes:
    """The ICC profile of sRGB, with a text behind its declared end."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + payload


def _jpeg(**options: object) -> bytes:
    return encoded(photograph(), "JPEG", **options)


def _before(data: bytes, marker: int, added: bytes) -> bytes:
    found = jpeg.segments(data, 1000)
    assert found is not None
    (start,) = [segment.start - 4 for segment in found if segment.marker == marker]
    return data[:start] + added + data[start:]


def _png_parts() -> list[tuple[bytes, bytes]]:
    return [(kind, chunk[8:-4]) for kind, chunk in png.chunks(encoded(photograph(), "PNG"))]


def _png(parts: list[tuple[bytes, bytes]], end: bytes = b"") -> bytes:
    return png.SIGNATURE + b"".join(png_chunk(*part) for part in parts) + end


def _png_with(kind: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return _png([(k, change(content) if k == kind else content) for k, content in _png_parts()])


def _png_between(*added: tuple[bytes, bytes]) -> bytes:
    header, *rest = _png_parts()
    return _png([header, *added, *rest])


def _png_text(payload: bytes) -> bytes:
    info = PngInfo()
    info.add_text("Author", payload.decode("latin-1"))
    return encoded(photograph(), "PNG", pnginfo=info)


def _more_rows(payload: bytes) -> bytes:
    """Behind the last row, within the compressed stream (stored, so that the text is in plain sight)."""
    return _png_with(b"IDAT", lambda content: zlib.compress(zlib.decompress(content) + payload, 0))


def _unused_huffman_table(payload: bytes) -> bytes:
    counts = bytes([0] * 7 + [len(payload)] + [0] * 8)
    return jpeg_segment(0xC4, b"\x13" + counts + payload)


def _in_a_restart_interval(payload: bytes) -> bytes:
    data = _jpeg(restart_marker_rows=1)
    at = data.index(b"\xff\xd0")
    return data[:at] + payload + data[at:]


def _grey_with_profile(payload: bytes) -> bytes:
    return encoded(photograph().convert("L"), "PNG", icc_profile=profile(payload))


def _multi_picture(payload: bytes) -> bytes:
    return encoded(photograph(), "MPO", save_all=True, append_images=[photograph(seed=1)]) + payload


def _tiff(payload: bytes) -> bytes:
    return encoded(photograph(), "TIFF", description=payload.decode("latin-1"), compression="tiff_lzw")


def _progressive_scan(payload: bytes) -> bytes:
    data = _jpeg(progressive=True)
    found = jpeg.segments(data, 1000)
    assert found is not None
    end = next(segment.coded_end for segment in found if segment.marker == jpeg.SCAN)
    return data[:end] + payload + data[end:]


DIRECTORY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"  # an empty one, as EXIF data begin

# By the name of the file: what hides a text of 16 bytes, none of which is 0xff or 0.
PLACES: dict[str, Callable[[bytes], bytes]] = {
    "exif.jpg": lambda p: _jpeg(exif=b"Exif\0\0" + DIRECTORY + p),
    "comment.jpg": lambda p: _jpeg(comment=p),
    "application.jpg": lambda p: _before(_jpeg(), 0xC0, jpeg_segment(0xED, p)),
    "line-count.jpg": lambda p: _jpeg()[:-2] + jpeg_segment(0xDC, p) + b"\xff\xd9",
    "unused-quantisation.jpg": lambda p: _before(_jpeg(), 0xC0, jpeg_segment(0xDB, b"\x03" + p * 4)),
    "replaced-quantisation.jpg": lambda p: _jpeg()[:2] + jpeg_segment(0xDB, b"\0" + p * 4) + _jpeg()[2:],
    "unused-huffman.jpg": lambda p: _before(_jpeg(), 0xDA, _unused_huffman_table(p)),
    "jfif-thumbnail.jpg": lambda p: (
        _jpeg()[:2] + jpeg_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\2\3" + p + b"\1\1") + _jpeg()[20:]
    ),
    "adobe.jpg": lambda p: _before(_jpeg(), 0xC0, jpeg_segment(0xEE, b"Adobe\0\x64" + b"\0" * 4 + b"\1" + p)),
    "after-last-block.jpg": lambda p: _jpeg()[:-2] + p + b"\xff\xd9",
    "after-interval.jpg": _in_a_restart_interval,
    "after-end.jpg": lambda p: _jpeg() + p,
    "between-segments.jpg": lambda p: _jpeg()[:20] + p + _jpeg()[20:],
    "profile-end.jpg": lambda p: _jpeg(icc_profile=profile(p)),
    "progressive-scan.jpg": _progressive_scan,
    "second-photograph.jpg": _multi_picture,
    "text.png": _png_text,
    "after-stream.png": lambda p: _png_with(b"IDAT", lambda content: content + p),
    "more-rows.png": _more_rows,
    "second-data.png": lambda p: _png([*_png_parts()[:-1], (b"IDAT", p), (b"IEND", b"")]),
    "palette.png": lambda p: _png_between((b"PLTE", p[:15] + p[:15] + p + p[:2])),
    "chromaticities.png": lambda p: _png_between((b"cHRM", p * 2)),
    "private.png": lambda p: _png_between((b"prVt", p)),
    "end.png": lambda p: _png_with(b"IEND", lambda content: p),
    "after-end.png": lambda p: _png(_png_parts(), p),
    "profile-end.png": lambda p: encoded(photograph(), "PNG", icc_profile=profile(p)),
    "grey-profile.png": _grey_with_profile,
    "description.tif": _tiff,
    "comment.gif": lambda p: encoded(photograph().convert("P"), "GIF", comment=p),
    "after-end.bmp": lambda p: encoded(photograph(), "BMP") + p,
    "exif.webp": lambda p: encoded(photograph(), "WEBP", lossless=True, exif=b"Exif\0\0" + DIRECTORY + p),
}


def pixels_of(data: bytes) -> bytes:
    """What Pillow decodes, as RGB."""
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB").tobytes()
