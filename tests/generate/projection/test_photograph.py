"""Photographs of any size, mode and orientation become what the generator was trained on."""

import numpy as np
import pytest
from PIL import Image

from morphoscope.configs import UserError
from morphoscope.generate.projection import Photograph

RANDOM = np.random.default_rng(0)
SMOOTH = np.kron(RANDOM.integers(40, 200, (4, 6, 3)), np.ones((10, 10, 1))).astype(np.uint8)  # 40 x 60
# How a camera stores an image that is upright when it is turned as EXIF says.
STORED = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, 1),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 3),
}


def read(path, image, **options):
    image.save(path, **options)
    return Photograph.read(path, 16).pixels


@pytest.fixture
def upright(tmp_path):
    return read(tmp_path / "upright.png", Image.fromarray(SMOOTH))


@pytest.mark.parametrize("orientation", STORED)
def test_orientations(tmp_path, upright, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](SMOOTH)))
    np.testing.assert_array_equal(read(tmp_path / "turned.png", stored, exif=exif), upright)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (16, 16), (1000, 700)])
def test_sizes(tmp_path, size):
    pixels = read(tmp_path / "sized.png", Image.new("RGB", size, (90, 60, 30)))
    assert pixels.shape == (16, 16, 3)
    np.testing.assert_array_equal(pixels, np.broadcast_to([90, 60, 30], (16, 16, 3)))


@pytest.mark.parametrize(
    ("mode", "suffix", "tolerance"),
    [("P", "png", 12), ("RGBA", "png", 0), ("CMYK", "tif", 1), ("RGB", "webp", 25), ("RGB", "bmp", 0)],
)
def test_colour_modes(tmp_path, upright, mode, suffix, tolerance):
    found = read(tmp_path / f"mode.{suffix}", Image.fromarray(SMOOTH).convert(mode))
    assert np.abs(found.astype(int) - upright).max() <= tolerance


@pytest.mark.parametrize("mode", ["1", "L", "I;16"])
def test_grey_modes(tmp_path, mode):
    level = {"1": 1, "L": 255, "I;16": 65535}[mode]
    assert (read(tmp_path / "grey.png", Image.new(mode, (30, 20), level)) == 255).all()


def test_transparency_is_white(tmp_path):
    assert (read(tmp_path / "clear.png", Image.new("RGBA", (30, 20), (9, 9, 9, 0))) == 255).all()


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_photograph_is_named(tmp_path, content):
    path = tmp_path / "photograph.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"photograph\.png: "):
        Photograph.read(path, 16)
