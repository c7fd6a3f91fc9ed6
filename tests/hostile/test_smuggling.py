"""No text hidden in a photograph is anywhere in the imported file, and no pixel changes."""

import logging
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hostile.images import encoded, photograph
from hostile.smuggling import PLACES, pixels_of, profile
from morphoscope.cohort import import_folder, png, read_image
from morphoscope.cohort.importers.cleaning import clean
from morphoscope.cohort.stripping import strip_metadata

SECRET = b"Jane Doe, ward 7"
# Bytes that may stand anywhere in coded data; all different, unlike those of pixels.
payloads = st.lists(st.integers(1, 254), min_size=16, max_size=16, unique=True).map(bytes)


def all_content(data: bytes) -> bytes:
    """The bytes of a file and, of a PNG, what its compressed parts unpack to."""
    found = [data]
    if data.startswith(png.SIGNATURE):
        chunks = list(png.chunks(data))
        found.append(zlib.decompress(b"".join(chunk[8:-4] for kind, chunk in chunks if kind == b"IDAT")))
        found += [
            zlib.decompress(chunk[8:-4].split(b"\0", 2)[2]) for kind, chunk in chunks if kind == b"iCCP"
        ]
    return b"".join(found)


@pytest.mark.parametrize("name", PLACES)
@settings(max_examples=8, deadline=None)
@given(payload=payloads)
def test_what_is_hidden_does_not_survive(name: str, payload: bytes) -> None:
    data = PLACES[name](payload)
    assert payload in all_content(data) or name.startswith(
        ("profile", "grey", "text", "descr", "comment.gif")
    )
    content = clean(data, name).data
    assert payload not in all_content(content)
    assert pixels_of(content) == read_image(data).tobytes()


@pytest.mark.parametrize("name", ["exif.jpg", "after-end.jpg", "line-count.jpg", "unused-huffman.jpg"])
def test_ordinary_metadata_leaves_the_compressed_pixels_alone(name: str) -> None:
    assert clean(PLACES[name](SECRET), name).data == encoded(photograph(), "JPEG")


@pytest.mark.parametrize("name", ["after-last-block.jpg", "after-interval.jpg", "progressive-scan.jpg"])
def test_what_cannot_be_accounted_for_is_encoded_again(name: str) -> None:
    assert clean(PLACES[name](SECRET), name).is_new_png


def test_every_hiding_place_in_one_import(tmp_path: Path) -> None:
    source = tmp_path / "in" / "NF1"
    source.mkdir(parents=True)
    for name, hide in PLACES.items():
        (source / name).write_bytes(hide(SECRET))
    cohort = import_folder(tmp_path / "in", tmp_path / "out")
    assert len(cohort) == len(PLACES)
    for row, name in enumerate(sorted(PLACES)):
        assert SECRET not in all_content((cohort.root / cohort.rows["file"][row]).read_bytes())
        np.testing.assert_array_equal(cohort.image(row), read_image(source / name))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 5}]
)
def test_no_ordinary_jpeg_is_suspected(subsampling: int, options: dict[str, object]) -> None:
    """Sides that are no multiple of a block, and noise, whose code has every length."""
    for seed, (height, width) in enumerate([(37, 51), (8, 8), (130, 17), (1, 3), (60, 90)]):
        noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
        for quality in (5, 30, 75, 95):
            image = Image.fromarray(noise)
            data = encoded(image, "JPEG", quality=quality, subsampling=subsampling, **options)
            assert strip_metadata(data) == data


def test_a_profile_is_kept_without_what_follows_it_or_replaced() -> None:
    cleaned = clean(encoded(photograph(), "JPEG", icc_profile=profile(SECRET)), "a.jpg")
    assert cleaned.has_profile and Image.open(BytesIO(cleaned.data)).info["icc_profile"] == profile()
    cleaned = clean(encoded(photograph(), "JPEG", icc_profile=profile()), "a.jpg", to_srgb=True)
    assert cleaned == (encoded(photograph(), "JPEG"), False, False)  # the colours are those of sRGB already


def test_other_colours_are_converted_to_srgb() -> None:
    """Swapped primaries, as no camera has: red in the file is the profile's green."""
    data = bytearray(profile())
    tags = {bytes(data[at : at + 4]): at for at in range(132, 132 + 12 * int.from_bytes(data[128:132]), 12)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = data[green : green + 4], data[red : red + 4]
    image = Image.new("RGB", (20, 20), (200, 40, 40))
    cleaned = clean(encoded(image, "PNG", icc_profile=bytes(data)), "a.png", to_srgb=True)
    found = Image.open(BytesIO(cleaned.data))
    assert cleaned.is_new_png and "icc_profile" not in found.info
    np.testing.assert_allclose(np.array(found)[0, 0], (40, 200, 40), atol=3)


def test_the_number_of_profiles_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "in" / "NF1"
    source.mkdir(parents=True)
    (source / "a.jpg").write_bytes(encoded(photograph(), "JPEG", icc_profile=profile()))
    (source / "b.jpg").write_bytes(encoded(photograph(), "JPEG"))
    with caplog.at_level(logging.INFO, "morphoscope"):
        import_folder(tmp_path / "in", tmp_path / "out")
        assert "1 images carry a colour profile (ICC)" in caplog.text
        caplog.clear()
        import_folder(tmp_path / "in", tmp_path / "srgb", to_srgb=True)
        assert "colour profile" not in caplog.text
