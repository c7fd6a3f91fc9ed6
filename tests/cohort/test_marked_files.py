"""The mark of synthesis in files: what it says, that it is read again, and that earlier files count."""

import json
import subprocess
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from morphoscope.cohort import Provenance, gif, mp4
from morphoscope.cohort.marked_files import (
    carry_mark,
    encode_synthetic_png,
    file_provenance,
    is_marked_synthetic,
    mark_gif,
    mark_mp4,
    read_provenance,
    write_synthetic_image,
)
from morphoscope.cohort.provenance import MorphPath, PathEnd

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
FULL = Provenance(
    generator="0123456789abcdef", phantoms_only=True, label={"NF1": 0.75, "café": 0.25}, seed=3, psi=0.7
)
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PATH = MorphPath(
    ends=(
        PathEnd(seed=3, label={"NF1": 1.0}, directions=[("2", 1.5), ("2", -0.5)]),
        PathEnd(photograph="ab12", projection="cd34", label={"café": 1.0}),
    ),
    way="both",
    interpolation="spherical",
    centre="condition",
    positions=[0.1 + 0.2],
    spacing="efficientnet_lite0",
)


def marked(**texts: str) -> bytes:
    """A PNG file with text chunks, as earlier versions wrote them."""
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def read(data: bytes) -> Provenance | None:
    return read_provenance(Image.open(BytesIO(data)))


@pytest.mark.parametrize("provenance", [FULL, Provenance(paths=[PATH], parents=["ab12"]), Provenance()])
def test_what_is_written_is_read_again(tmp_path: Path, provenance: Provenance) -> None:
    write_synthetic_image(tmp_path / "a.png", PIXELS, provenance)
    data = (tmp_path / "a.png").read_bytes()
    assert data == encode_synthetic_png(Image.fromarray(PIXELS), provenance)
    assert is_marked_synthetic(data)
    assert read(data) == provenance
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(data))), PIXELS)


def test_the_mark_is_four_texts_and_leaves_the_compressed_pixels_alone() -> None:
    data = encode_synthetic_png(Image.fromarray(PIXELS), FULL)
    image = Image.open(BytesIO(data))
    assert {"Synthetic", "Software", "Morphoscope", "XML:com.adobe.xmp"} <= set(image.info)
    assert image.info["Software"] == "Morphoscope"
    assert json.loads(image.info["Morphoscope"]) == {
        "generator": "0123456789abcdef",
        "phantoms_only": True,
        "label": {"NF1": 0.75, "café": 0.25},
        "seed": 3,
        "psi": 0.7,
        "shows_photograph": False,
    }
    assert carry_mark(data, marked()) == data
    assert carry_mark(marked(), marked()) == marked()
    assert carry_mark(b"a JPEG", marked()) == marked()


def packet_fields(packet: bytes) -> dict[str, str]:
    """The properties of an XMP packet, by namespace and name."""
    description = ElementTree.fromstring(packet).find(f".//{{{RDF}}}Description")
    assert description is not None
    return {key.strip("{").replace("}", ""): text for key, text in description.attrib.items()}


def test_the_packet_has_the_properties_of_the_iptc_standard() -> None:
    label = {"NF1 <&\"'>": 0.25, "café": 0.75}
    provenance = FULL.model_copy(update={"label": label, "noise_mode": "const", "execution": "1 cpu"})
    data = encode_synthetic_png(Image.fromarray(PIXELS), provenance)
    fields = packet_fields(Image.open(BytesIO(data)).info["XML:com.adobe.xmp"].encode())
    record = fields.pop("urn:uuid:4d10197d-874e-4cdc-bb25-b17f16352597#Provenance")
    assert Provenance.parse(record) == provenance
    # Photo Metadata Standard 2025.1, schema "IPTC Extension" 1.9; NewsCodes "Digital Source Type"
    assert fields == {
        "http://www.w3.org/1999/02/22-rdf-syntax-ns#about": "",
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29/DigitalSourceType": "http://cv.iptc.org/newscodes/"
        "digitalsourcetype/trainedAlgorithmicMedia",
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29/AISystemUsed": "Morphoscope, StyleGAN2-ADA",
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29/AISystemVersionUsed": "generator 0123456789abcdef",
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29/AIPromptInformation": provenance.summary,
    }
    assert carry_mark(data, marked()) == data


def test_a_sheet_with_a_photograph_is_a_composite() -> None:
    provenance = Provenance(parents=["ab12"], shows_photograph=True)
    data = encode_synthetic_png(Image.fromarray(PIXELS), provenance)
    fields = packet_fields(Image.open(BytesIO(data)).info["XML:com.adobe.xmp"].encode())
    assert fields["http://iptc.org/std/Iptc4xmpExt/2008-02-29/DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )
    assert (
        "treat as patient data" in provenance.statement
        and "treat as patient data" in provenance.sheet_caption
    )


def gif_file(path: Path) -> Path:
    """A film of two frames without a mark."""
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], loop=0, comment=b"a film")
    return path


def mp4_file(path: Path) -> Path:
    """A film of two frames without a mark."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", "16x12", "-i", "-", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    subprocess.run(command, input=PIXELS.tobytes() * 2, check=True)
    return path


@pytest.mark.parametrize(("write", "mark"), [(gif_file, mark_gif), (mp4_file, mark_mp4)])
@pytest.mark.parametrize("provenance", [FULL, Provenance(paths=[PATH, PATH], parents=["ab12"]), Provenance()])
def test_films_carry_the_same_mark(tmp_path, write, mark, provenance) -> None:
    path = write(tmp_path / "film.mp4")
    plain = path.read_bytes()
    assert file_provenance(plain) is None and not is_marked_synthetic(plain)
    mark(path, provenance)
    data = path.read_bytes()
    assert file_provenance(data) == provenance and is_marked_synthetic(data)
    packet = gif.find_xmp(data) or mp4.find_xmp(data)
    assert packet is not None
    assert (
        packet.decode()
        == Image.open(BytesIO(encode_synthetic_png(Image.fromarray(PIXELS), provenance))).info[
            "XML:com.adobe.xmp"
        ]
    )
    played = [frame.tobytes() for frame in frames(path)]
    path.write_bytes(plain)
    assert played == [frame.tobytes() for frame in frames(path)] and len(played) == 2


def frames(path: Path) -> list[np.ndarray]:
    """The frames of a film as other programs decode them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo"]
    pixels = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return list(np.frombuffer(pixels, np.uint8).reshape(-1, *PIXELS.shape))


def test_the_mark_of_a_gif_is_carried_into_a_png(tmp_path: Path) -> None:
    path = gif_file(tmp_path / "film.gif")
    mark_gif(path, FULL)
    carried = carry_mark(path.read_bytes(), marked())
    assert file_provenance(carried) == FULL
    assert carried == carry_mark(encode_synthetic_png(Image.fromarray(PIXELS), FULL), marked())


def test_a_packet_that_another_program_wrote_again_is_read(tmp_path: Path) -> None:
    path = mp4_file(tmp_path / "film.mp4")
    again = (
        f'<rdf:RDF xmlns:rdf="{RDF}" xmlns:m="urn:uuid:4d10197d-874e-4cdc-bb25-b17f16352597#">'
        '<rdf:Description><m:Provenance>{"seed": 7}</m:Provenance></rdf:Description></rdf:RDF>'
    )
    with path.open("ab") as file:
        file.write(mp4.xmp_box(again.encode()))
    assert file_provenance(path.read_bytes()) == Provenance(seed=7)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<",
        b"\xff\xfe<",
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
        b"<x/>",
        b"<x>" * 100_000,
        b"<x " + b"a" * (5 * 2**20) + b"/>",
    ],
    ids=lambda packet: str(packet[:20]),
)
def test_hostile_packets_are_no_marks(tmp_path: Path, packet: bytes) -> None:
    for path in (gif_file(tmp_path / "film.gif"), mp4_file(tmp_path / "film.mp4")):
        data = path.read_bytes()
        films = gif.insert_xmp(data, packet) if path.suffix == ".gif" else data + mp4.xmp_box(packet)
        assert file_provenance(films) is None


def test_films_cut_short_anywhere_are_read_or_unmarked(tmp_path: Path) -> None:
    for path, mark in (
        (gif_file(tmp_path / "film.gif"), mark_gif),
        (mp4_file(tmp_path / "film.mp4"), mark_mp4),
    ):
        mark(path, FULL)
        data = path.read_bytes()
        assert all(file_provenance(data[:length]) in (None, FULL) for length in range(len(data)))


def test_a_packet_of_another_origin_is_not_carried() -> None:
    personal = marked(Synthetic=RESEMBLES, **{"XML:com.adobe.xmp": "<x>Mrs Smith</x>"})
    assert is_marked_synthetic(personal)
    assert b"Mrs Smith" not in carry_mark(personal, marked())


NO_PATIENT = "yes: made by a generator, shows no patient"
RESEMBLES = "yes: made by a generator, not a photograph; may resemble its training photographs"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (  # a sample, and an image of a synthetic cohort
            {
                "Synthetic": NO_PATIENT,
                "Software": "Morphoscope",
                "Morphoscope": '{"generator": "ab", "label": "NF1", "seed": 7, "psi": 1.0}',
            },
            Provenance(generator="ab", phantoms_only=True, label={"NF1": 1.0}, seed=7, psi=1.0),
        ),
        (  # a frame of a morph
            {
                "Synthetic": RESEMBLES,
                "Morphoscope": '{"generator": "ab", "label": "0.667 a + b + 0.333 c", "seed": 7, "psi": 0.7}',
            },
            Provenance(generator="ab", label={"a + b": 0.667, "c": 0.333}, seed=7, psi=0.7),
        ),
        (  # its first frame
            {"Synthetic": RESEMBLES, "Morphoscope": '{"label": "1.000 a + 0.000 b"}'},
            Provenance(label={"a": 1.0}),
        ),
        (
            {"Synthetic": RESEMBLES, "Morphoscope": '{"generator": "ab"}'},
            Provenance(generator="ab"),
        ),  # a sheet
        (  # an image of the studio
            {"Synthetic": f"{RESEMBLES}; 60% café + 40% ML · seed 3 · psi 0.7 · generator ab"},
            Provenance(),
        ),
    ],
)
def test_earlier_files_are_recognised(texts: dict[str, str], expected: Provenance) -> None:
    data = marked(**texts)
    assert is_marked_synthetic(data)
    found = read(data)
    assert found is not None
    if found.label is not None:
        assert found.label == pytest.approx(expected.label, abs=1e-9)
    assert found.model_copy(update={"label": expected.label}) == expected


@pytest.mark.parametrize("texts", [{}, {"Software": "Morphoscope"}, {"Morphoscope": '{"generator": "ab"}'}])
def test_other_images_are_not_marked(texts: dict[str, str]) -> None:
    assert not is_marked_synthetic(marked(**texts))
    assert read(marked(**texts)) is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        "null",
        "[" * 100_000,
        '{"seed": -1}',
        '{"seed": "three"}',
        '{"label": {"a": 0.5}}',
        '{"label": {"a": NaN}}',
        '{"psi": {}}',
        '{"phantoms_only": "perhaps"}',
    ],
)
def test_a_damaged_mark_still_counts(content: str) -> None:
    data = marked(Synthetic=RESEMBLES, Morphoscope=content)
    assert is_marked_synthetic(data)
    assert read(data) == Provenance()


def test_marks_of_later_versions_are_read() -> None:
    assert read(marked(Synthetic=RESEMBLES, Morphoscope='{"seed": 3, "path": ["a", "b"]}')) == Provenance(
        seed=3
    )
