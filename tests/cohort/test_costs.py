"""Images that cost far more than a photograph are refused at once; photographs are not."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hostile.images import COSTLY, encoded, fill_bytes_in_the_coded_image, many_scans, photograph
from hostile.limits import at_most
from PIL import Image, ImageOps

from morphoscope.cohort import Cohort, import_folder, read_image
from morphoscope.configs import UserError


@pytest.mark.parametrize("make", COSTLY)
def test_costly_files_are_refused_before_they_are_decoded(
    make: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make()
    if make.__name__ != "exif_in_a_png":  # this one can follow the pixels
        monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    with at_most(20), pytest.raises(UserError, match=r"a\.img: ") as error:
        read_image(data, "a.img")
    assert "\n" not in str(error.value)


def test_the_message_says_what_is_too_much() -> None:
    with pytest.raises(UserError, match=r"a JPEG file with 310 scans; at most 50 are read\. Save it again"):
        read_image(many_scans())


def test_a_run_that_is_no_marker_takes_no_quadratic_time() -> None:
    with at_most(20):
        assert read_image(fill_bytes_in_the_coded_image()).shape == (48, 64, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "JPEG", "progressive": True},
        {"format": "JPEG", "restart_marker_blocks": 1},
        {"format": "TIFF", "compression": "tiff_lzw"},
        {"format": "GIF", "comment": b"x" * 1000},
        {"format": "BMP"},
        {"format": "WEBP"},
        {"format": "MPO", "save_all": True, "append_images": [photograph(seed=1)]},
    ],
)
def test_photographs_are_read(options: dict[str, object]) -> None:
    image = photograph(400, 600)
    image_format = str(options.pop("format"))
    if image_format == "GIF":
        image = image.convert("P")
    exif = Image.Exif()
    exif[0x010E] = "x" * 20_000
    exif_option = {} if image_format in ("GIF", "BMP") else {"exif": exif}
    assert read_image(encoded(image, image_format, **exif_option, **options)).shape == (400, 600, 3)


def test_the_longest_shape_that_is_read_is_warned_of_and_the_next_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in/NF1"
    source.mkdir(parents=True)
    Image.new("RGB", (10, 1000), "white").save(source / "a.png")
    cohort = import_folder(tmp_path / "in", tmp_path / "out")
    assert "extreme-shape" in {problem.kind for problem in cohort.check().problems}
    Image.new("RGB", (10, 1001), "white").save(source / "a.png")
    with pytest.raises(UserError, match=r"a\.png: 10 x 1001 pixels: more than 100 times as long as wide"):
        import_folder(tmp_path / "in", tmp_path / "other")
    Image.new("RGB", (10, 1001), "white").save(cohort.root / "images/NF1/a.png")
    report = Cohort.load(tmp_path / "out").check()
    assert not report.ok and "more than 100 times" in str(report)


def test_too_little_memory_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(image: Image.Image) -> None:
        raise MemoryError

    data = encoded(photograph(), "BMP")
    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(UserError, match=r"a\.bmp: too large for the memory of this computer"):
        read_image(data, "a.bmp")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_bands_and_orientations_give_the_pixels_that_pillow_gives(orientation: int, mode: str) -> None:
    """700 rows are three bands."""
    pixels = np.random.default_rng(0).integers(0, 256, (700, 20, 4), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    turned = Image.open(BytesIO(encoded(white.convert("RGB"), "PNG", exif=exif)))
    expected = np.array(ImageOps.exif_transpose(turned))
    np.testing.assert_array_equal(read_image(encoded(image, "PNG", exif=exif)), expected)
