"""Any photograph becomes 8-bit RGB, or an error that names the file and the reason."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from morphoscope.cohort import MAX_PIXELS, read_image, write_image
from morphoscope.configs import UserError

RED = np.full((6, 8, 3), (200, 30, 40), np.uint8)


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and has no pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(b""))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_plain_rgb_is_read_unchanged(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", RED)
    pixels = read_image(tmp_path / "a.png")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, RED)


def test_grey_becomes_three_equal_channels() -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    pixels = read_image(encoded(Image.fromarray(grey), "PNG"))
    np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))


def test_palette() -> None:
    image = Image.fromarray(RED).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(read_image(encoded(image, "GIF")), RED)


def test_alpha_is_composited_on_white() -> None:
    rgba = np.dstack([RED, np.full((6, 8), 0, np.uint8)])
    rgba[:3, :, 3] = 255
    pixels = read_image(encoded(Image.fromarray(rgba), "PNG"))
    np.testing.assert_array_equal(pixels[:3], RED[:3])
    assert (pixels[3:] == 255).all()


def test_transparent_palette_is_composited_on_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((0, 0), 1)
    pixels = read_image(encoded(image, "PNG", transparency=0))
    assert tuple(pixels[0, 0]) == (200, 100, 0)
    assert (pixels[1:] == 255).all()


def test_cmyk() -> None:
    data = encoded(Image.fromarray(RED).convert("CMYK"), "JPEG", quality=95)
    pixels = read_image(data)
    assert pixels.shape == (6, 8, 3)
    np.testing.assert_allclose(pixels, RED, atol=4)


def test_sixteen_bit_grey_is_scaled_to_eight() -> None:
    grey = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    pixels = read_image(encoded(Image.fromarray(grey), "PNG"))
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255]
    assert pixels.shape == (1, 4, 3)


def test_sixteen_bit_tiff() -> None:
    grey = np.array([[0, 65535]], np.uint16)
    assert read_image(encoded(Image.fromarray(grey), "TIFF"))[0, :, 2].tolist() == [0, 255]


def test_floating_point_is_refused() -> None:
    with pytest.raises(UserError, match=r"scan\.tif: floating-point"):
        read_image(encoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"), "scan.tif")


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :4] = 255  # the left half is white …
    turned = read_image(encoded(Image.fromarray(pixels), "PNG", exif=exif))
    assert turned.shape == (8, 4, 3)
    assert (turned[:4] == 255).all()  # … and becomes the upper half
    assert (turned[4:] == 0).all()


def test_zero_byte_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UserError, match=r"empty\.jpg: empty file"):
        read_image(tmp_path / "empty.jpg")


def test_text_renamed_to_png(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not an image")
    with pytest.raises(UserError, match=r"notes\.png: not an image"):
        read_image(tmp_path / "notes.png")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", r"arm\.jpg: a HEIC photograph.* Export it as JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", r"arm\.jpg: a HEIC photograph"),
        (bytes(128) + b"DICM\2\0\0\0UL", r"arm\.jpg: a DICOM file.* Export its image as PNG or JPEG"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", r"arm\.jpg: not an image"),
    ],
)
def test_formats_of_cameras_and_scanners_are_named(start: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_image(start + bytes(200), "arm.jpg")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_truncated_file_is_damaged(image_format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = encoded(Image.fromarray(noise), image_format)
    with pytest.raises(UserError, match=r"cut\.img: "):
        read_image(data[: len(data) // 2], "cut.img")


@given(st.binary(max_size=60), st.integers(0, 200))
def test_corrupt_bytes_never_escape_as_another_error(junk: bytes, place: int) -> None:
    data = bytearray(encoded(Image.fromarray(RED), "PNG"))
    data[place : place + len(junk)] = junk
    try:
        pixels = read_image(bytes(data), "junk.png")
    except UserError as error:
        assert "junk.png" in str(error)
    else:
        assert pixels.dtype == np.uint8


@pytest.mark.parametrize("width", [MAX_PIXELS // 1000 + 1, 1_000_000])
def test_huge_dimensions_are_refused_from_the_header(width: int) -> None:
    with pytest.raises(UserError, match=r"huge\.png: .*64 megapixels"):
        read_image(png_header(width, 1000), "huge.png")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png")


def test_formats_that_run_other_programs_are_not_opened() -> None:
    with pytest.raises(UserError, match="not an image"):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "a.eps")
