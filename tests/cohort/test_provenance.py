"""The mark of synthetic images: what it says, that it is read again, and that earlier files count."""

import json
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import (
    carry_mark,
    encode_synthetic_png,
    is_marked_synthetic,
    label_text,
    mixture,
    read_mixture,
    read_provenance,
    write_synthetic_image,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
FULL = Provenance(
    generator="0123456789abcdef", phantoms_only=True, label={"NF1": 0.75, "café": 0.25}, seed=3, psi=0.7
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


@pytest.mark.parametrize("provenance", [FULL, Provenance(generator="abc"), Provenance()])
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
    }
    assert carry_mark(data, marked()) == data
    assert carry_mark(marked(), marked()) == marked()
    assert carry_mark(b"a JPEG", marked()) == marked()


def test_the_packet_has_the_fields_of_the_iptc_standard() -> None:
    label = {"NF1 <&\"'>": 0.25, "café": 0.75}
    provenance = FULL.model_copy(update={"label": label, "noise_mode": "const", "execution": "1 cpu"})
    data = encode_synthetic_png(Image.fromarray(PIXELS), provenance)
    root = ElementTree.fromstring(Image.open(BytesIO(data)).info["XML:com.adobe.xmp"].encode())
    description = root.find(".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert description is not None
    fields = {key.rpartition("}")[2]: text for key, text in description.attrib.items()}
    assert fields == {
        "about": "",
        "DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "AISystemUsed": "Morphoscope, StyleGAN2-ADA",
        "AISystemVersionUsed": "generator 0123456789abcdef",
        "AIPromptInformation": provenance.summary,
    }
    assert carry_mark(data, marked()) == data


def test_a_packet_of_another_origin_is_not_carried() -> None:
    personal = marked(Synthetic=RESEMBLES, **{"XML:com.adobe.xmp": "<x>Mrs Smith</x>"})
    assert is_marked_synthetic(personal)
    assert b"Mrs Smith" not in carry_mark(personal, marked())


def test_only_phantoms_alone_show_no_patient() -> None:
    phantoms, others = FULL, FULL.model_copy(update={"phantoms_only": False})
    assert phantoms.statement == "yes: made by a generator, shows no patient"
    assert "no patient is shown" in phantoms.sheet_caption
    for text in (others.statement, others.sheet_caption, Provenance().statement):
        assert "may resemble its training photographs" in text
        assert "no patient" not in text


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


@given(st.floats(0, 1))
def test_mixture_of_a_morph_adds_up(share: float) -> None:
    label = mixture("a", "b", share)
    assert sum(label.values()) == pytest.approx(1)
    assert all(label.values())
    assert label.get("b", 0.0) == share
    assert mixture("a", "a", share) == {"a": 1.0}
    assert read_mixture(json.dumps(label)) == label


@pytest.mark.parametrize("percent", range(101))
def test_a_label_in_words(percent: int) -> None:
    text = {0: "100% a", 100: "100% b"}.get(percent, f"{100 - percent}% a + {percent}% b")
    assert label_text(mixture("a", "b", percent / 100)) == text


def test_the_origin_in_a_line() -> None:
    assert Provenance().summary == "origin not recorded"
    assert Provenance(seed=0, psi=0.0, generator="ab").summary == "seed 0 · psi 0 · generator ab"
    line = "75% NF1 + 25% café · seed 3 · psi 0.7 · generator 0123456789abcdef"
    assert FULL.summary == line


def test_columns_of_the_manifest() -> None:
    assert FULL.model_copy(update={"label": {"NF1": 1.0}}).columns() == {
        "generator": "0123456789abcdef",
        "seed": "3",
        "label": '{"NF1": 1.0}',
        "psi": "0.7",
        "phantom": "true",
    }
