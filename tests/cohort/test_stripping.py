"""Importing removes place, time and names from a photograph, and does not change its pixels."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from morphoscope.cohort import Cohort, import_csv, import_folder
from morphoscope.cohort.stripping import is_absolute_path, strip_metadata
from morphoscope.configs import UserError

SECRET = b"Jane Doe, ward 7"
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 56, 3)).astype(np.uint8)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def gps_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x013B] = SECRET.decode()  # Artist
    exif.get_ifd(0x8825).update({1: "N", 2: (49.0, 24.0, 36.0), 3: "E", 4: (8.0, 40.0, 12.0)})
    return exif


def encoded(image_format: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, image_format, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> tuple[np.ndarray, Image.Image]:
    image = Image.open(BytesIO(data))
    image.load()
    return np.array(image), image


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def after_start(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def png_text(keyword: str, text: str) -> PngInfo:
    info = PngInfo()
    info.add_text(keyword, text)
    return info


@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0, "quality": 95}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3}],
)
def test_jpeg_loses_its_metadata_and_keeps_its_pixels(options: dict[str, object]) -> None:
    data = encoded("JPEG", exif=gps_exif(), comment=SECRET, icc_profile=ICC, xmp=SECRET, **options)
    assert data.count(SECRET) == 3
    stripped = strip_metadata(data, ICC)
    assert stripped is not None
    assert SECRET not in stripped
    assert b"Exif" not in stripped
    pixels, image = decoded(stripped)
    np.testing.assert_array_equal(pixels, decoded(data)[0])
    assert len(image.getexif()) == 0
    assert image.info["icc_profile"] == ICC
    plain = encoded("JPEG", icc_profile=ICC, **options)
    assert stripped == plain, "what is left is the file that a camera without metadata would have written"


def test_jpeg_segments_of_every_kind() -> None:
    data = encoded("JPEG")
    application = [segment(marker, SECRET) for marker in (*range(0xE1, 0xF0), 0xFE, 0xF7)]
    previews = [segment(0xE0, b"JFXX\0\x10" + SECRET), segment(0xE2, b"MPF\0" + SECRET)]
    assert strip_metadata(after_start(data, *application, *previews) + SECRET) == data


def test_thumbnail_of_the_jfif_header_is_removed() -> None:
    data = encoded("JPEG")
    assert data[6:11] == b"JFIF\0"
    header = data[6:18] + bytes([2, 3]) + SECRET + b"\0\0"  # 2 x 3 pixels of 3 bytes
    with_thumbnail = data[:2] + segment(0xE0, header) + data[20:]
    assert strip_metadata(with_thumbnail) == data


def test_adobe_colour_transform_is_kept() -> None:
    """Without APP14 an RGB-coded JPEG would be taken for YCbCr."""
    data = encoded("JPEG", keep_rgb=True)
    stripped = strip_metadata(after_start(data, segment(0xE1, SECRET)))
    assert stripped is not None and b"Adobe" in stripped
    np.testing.assert_array_equal(decoded(stripped)[0], decoded(data)[0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0xE1, 0xFE), st.binary(max_size=80)), max_size=5))
def test_any_segments_between_the_tables(inserted: list[tuple[int, bytes]]) -> None:
    data = encoded("JPEG")
    tables_end = data.index(b"\xff\xc0")
    segments = [segment(m, content) for m, content in inserted if not (m == 0xE2 or content[:5] == b"Adobe")]
    assert strip_metadata(data[:tables_end] + b"".join(segments) + data[tables_end:]) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe1\x00",
        b"\xff\xd8\xff\xe1\xff\xff",
        b"\xff\xd8 no marker",
        encoded("JPEG")[:-2],
        encoded("PNG")[:-1],
        encoded("PNG")[:12],
        encoded("JPEG", progressive=True),
        encoded("JPEG", "CMYK"),
    ],
)
def test_what_cannot_be_parsed_is_left_to_the_encoder(data: bytes) -> None:
    assert strip_metadata(data) is None


def test_png_keeps_pixels_and_profile_only() -> None:
    text = png_text("Author", SECRET.decode())
    text.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    text.add_text("Software", SECRET.decode())  # without the text Synthetic it is no mark
    text.add(b"gAMA", struct.pack(">I", 45455))
    data = encoded("PNG", pnginfo=text, exif=gps_exif(), dpi=(72, 72), icc_profile=ICC) + SECRET
    stripped = strip_metadata(data, ICC)
    assert stripped is not None
    assert SECRET not in stripped
    pixels, image = decoded(stripped)
    np.testing.assert_array_equal(pixels, PIXELS)
    assert image.info == {"icc_profile": ICC}
    assert zlib.crc32(stripped[-8:-4]) == int.from_bytes(stripped[-4:], "big")


def test_import_strips_gps_and_applies_the_orientation(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "NF1"
    folder.mkdir(parents=True)
    (folder / "upright.jpg").write_bytes(encoded("JPEG", exif=gps_exif(), comment=SECRET))
    (folder / "turned.jpg").write_bytes(encoded("JPEG", exif=gps_exif(6)))
    (folder / "upright.png").write_bytes(encoded("PNG", exif=gps_exif()))
    (folder / "scan.tif").write_bytes(encoded("TIFF", exif=gps_exif()))
    # A second photograph behind the first, as phones write it: Pillow calls the format MPO.
    second = encoded("JPEG", exif=gps_exif())
    Image.open(BytesIO(second)).save(
        folder / "two.jpg", "MPO", save_all=True, append_images=[Image.open(BytesIO(second))], exif=gps_exif()
    )
    import_folder(tmp_path / "in", tmp_path / "out")
    written = {path.name: path.read_bytes() for path in (tmp_path / "out/images/NF1").iterdir()}
    assert set(written) == {"upright.jpg", "turned.jpg.png", "upright.png", "scan.tif.png", "two.jpg"}
    for data in written.values():
        assert SECRET not in data
        assert len(decoded(data)[1].getexif()) == 0
    pixels = decoded(encoded("JPEG"))[0]
    np.testing.assert_array_equal(decoded(written["upright.jpg"])[0], pixels)
    np.testing.assert_array_equal(decoded(written["turned.jpg.png"])[0], np.rot90(pixels, -1))
    assert decoded(written["two.jpg"])[1].format == "JPEG"


def test_import_encodes_again_what_decodes_but_cannot_be_parsed(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "NF1"
    folder.mkdir(parents=True)
    data = encoded("JPEG", exif=gps_exif())
    between_segments = after_start(data, segment(0xE1, b"Exif"), SECRET)
    (folder / "between.jpg").write_bytes(between_segments)
    import_folder(tmp_path / "in", tmp_path / "out")
    written = (tmp_path / "out/images/NF1/between.jpg.png").read_bytes()
    assert SECRET not in written
    pixels, image = decoded(written)
    np.testing.assert_array_equal(pixels, decoded(data)[0])
    assert len(image.getexif()) == 0


def test_the_mark_of_synthetic_images_is_kept(tmp_path: Path) -> None:
    marks = png_text("Synthetic", "yes: made by a generator, shows no patient")
    marks.add_text("Software", "Morphoscope")
    marks.add_text("Morphoscope", '{"seed": 3}')
    marks.add_text("Author", SECRET.decode())
    folder = tmp_path / "in" / "NF1"
    folder.mkdir(parents=True)
    (folder / "plain.png").write_bytes(encoded("PNG", pnginfo=marks))
    (folder / "grey.png").write_bytes(encoded("PNG", "L", pnginfo=marks))  # encoded again
    with pytest.raises(
        UserError, match=r"2 problem.*NF1/grey\.png: marked as a synthetic image.*--synthetic.*plain"
    ):
        import_folder(tmp_path / "in", tmp_path / "out")
    rest = "synthetic,abc,[],1234567890abcdef\n"
    (tmp_path / "in/list.csv").write_text(
        "file,condition,source,generator,trained_on_folds,trained_on_cohort\n"
        f"NF1/plain.png,NF1,{rest}NF1/grey.png,NF1,{rest}"
    )
    cohort = import_csv(tmp_path / "in", tmp_path / "out")
    assert "generated-as-real" not in {problem.kind for problem in cohort.check().problems}
    as_real = Cohort.from_rows(cohort.root, cohort.rows.assign(source="real"))
    (problem,) = [problem for problem in as_real.check().problems if problem.kind == "generated-as-real"]
    assert problem.severity == "error"
    assert problem.files == list(cohort.rows["file"])
    for name in ("plain", "grey"):
        texts = Image.open(tmp_path / f"out/images/NF1/{name}.png").info
        assert set(texts) == {"Synthetic", "Software", "Morphoscope"}
        assert texts["Synthetic"].startswith("yes")


def test_manifest_carries_no_absolute_path(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a", "b", "c"):
        (source / f"{name}.png").write_bytes(encoded("PNG"))
    (source / "list.csv").write_text(
        "file,condition,group,origin,note\n"
        f"{source}/a.png,NF1,/data/doe/1,{source}/a.png,n/a\n"
        "b.png,TSC,/data/roe/1,C:\\scans\\doe\\b.png,\n"
        "c.png,TSC,/data/doe/1,file:///data/c.png,/\n"
    )
    rows = import_csv(source / "list.csv", tmp_path / "out").rows
    assert rows["file"].tolist() == ["images/a.png", "images/b.png", "images/c.png"]
    doe, roe = (
        "path-073c2edb77",
        "path-76a5ac9af5",
    )  # from the path alone, so that imports can be joined
    assert rows["group"].tolist() == [doe, roe, doe]
    assert rows["origin"].tolist() == ["a.png", "b.png", "c.png"]
    assert rows["note"].tolist() == ["n/a", "", "/"]
    for name in ("manifest.csv", "dataset.json"):
        text = (tmp_path / "out" / name).read_text()
        assert str(tmp_path) not in text
        assert "doe" not in text


@pytest.mark.parametrize("text", ["/home/doe/a.png", "~/a.png", r"\\server\a", r"C:\a", "d:/a", "file:///a"])
def test_absolute_paths(text: str) -> None:
    assert is_absolute_path(text)


@pytest.mark.parametrize("text", ["a/b.png", "n/a", "~5 cm", "/", "12:30", "", "../a.png", "NF1"])
def test_other_texts(text: str) -> None:
    assert not is_absolute_path(text)
