"""One or several photographs, as paths, Pillow images or arrays."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morphoscope.classify import Ensemble
from morphoscope.classify.inputs.photographs import as_array, as_arrays
from morphoscope.configs import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 44, 3), dtype=np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_each_kind_is_the_same_prediction(ensemble: Ensemble, file: Path) -> None:
    expected = ensemble.predict([PIXELS]).combined
    image = Image.open(file)
    for one in (PIXELS, file, str(file), image, [file], (str(file),), PIXELS[None]):
        np.testing.assert_array_equal(ensemble.predict(one).combined, expected)
    mixed = ensemble.predict([file, PIXELS[:20], image])
    np.testing.assert_allclose(mixed.combined[[0, 2]], np.repeat(expected, 2, axis=0), atol=1e-6)
    assert len(ensemble.predict([]).combined) == 0


def test_attribution_takes_them_too(ensemble: Ensemble, file: Path) -> None:
    maps = [ensemble.attribute(image, 0, "gradcam").map for image in (PIXELS, file, Image.open(file))]
    assert maps[0].shape == (30, 44)
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])


def test_pillow_images_are_normalised_like_files(tmp_path: Path) -> None:
    grey = Image.fromarray(PIXELS[:, :, 0])
    clear = Image.fromarray(np.dstack([PIXELS, PIXELS[:, :, :1]]), "RGBA")
    turned = Image.new("RGB", (20, 10), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    for name, image, more in (("grey", grey, {}), ("clear", clear, {}), ("turned", turned, {"exif": exif})):
        path = tmp_path / f"{name}.png"
        image.save(path, **more)
        np.testing.assert_array_equal(as_array(Image.open(path)), as_array(path))
    assert as_array(Image.open(tmp_path / "turned.png")).shape == (20, 10, 3)
    assert as_array(grey).shape == (30, 44, 3)


def test_files_are_read_only_when_they_are_needed(file: Path) -> None:
    found = as_arrays([file, file.parent / "absent.png"])
    assert len(found) == 2
    np.testing.assert_array_equal(found[0], PIXELS)
    np.testing.assert_array_equal(found[:1][0], PIXELS)
    with pytest.raises(UserError, match=r"absent\.png: no such file"):
        found[1]


def test_what_is_no_photograph_is_refused(ensemble: Ensemble, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for wrong, problem in (
        (b"x", "images takes a path"),
        (PIXELS.astype(np.float32), "images takes a path"),
        (PIXELS[:, :, :2], "images takes a path"),
        ([None], "Expected uint8 RGB images"),
        (tmp_path / "cut.png", r"cut\.png"),
        (Image.new("RGB", (3000, 2)), "times as long as wide"),
        (Image.new("F", (8, 8)), "floating-point"),
        (Image.new("RGB", (0, 8)), "without pixels"),
    ):
        with pytest.raises(UserError, match=problem):
            ensemble.predict(wrong)
