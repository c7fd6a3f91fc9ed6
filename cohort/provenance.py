"""Provenance of synthetic images: its schema, and the mark in the image's file that carries it.

The mark is four texts of a PNG file: `Synthetic`, a statement for people; `Software`; `Morphoscope`, the
provenance as a JSON object; and an XMP packet, by which other programs recognise it. Importers keep it when
they strip all other metadata, and `Cohort.check` finds images that carry it but are listed as real. The
manifest of a synthetic cohort repeats it in columns.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, Field, field_validator

from morphoscope.cohort import png
from morphoscope.runtime import write_atomically

SYNTHETIC_COLUMNS = [
    "generator",
    "seed",
    "label",
    "psi",
    "trained_on_folds",
    "trained_on_cohort",
    "ancestor_cohorts",
]
FOREIGN = "foreign"
"""In `trained_on_cohort` and `ancestor_cohorts`, in place of a digest: nobody knows the training images."""
_STATEMENT, _SOFTWARE, _CONTENT = "Synthetic", "Software", "Morphoscope"  # keywords of the three texts
_MARK = {key.encode() for key in (_STATEMENT, _SOFTWARE, _CONTENT)}
_XMP = "XML:com.adobe.xmp"  # keyword of the packet (XMP specification, part 3)
_NO_PATIENT = "shows no patient"
_DERIVED = "a photograph: treat as patient data"
_TOLERANCE = 1e-3  # of the sum of shares: files round them
# How morphs wrote their label before it was a mapping: "0.750 NF1 + 0.250 TSC".
_MORPH_LABEL = re.compile(r"([01]\.\d{3}) (.+) \+ ([01]\.\d{3}) (.+)")


class Provenance(BaseModel):
    """How a synthetic image was made. What is unknown, or differs within a sheet of images, is None.

    Attributes:
        generator: digest of the generator.
        phantoms_only: whether the generator, and any that its training started from, has seen only phantoms.
        label: mixture of conditions, {condition: share}; shares from 0 to 1 that add up to 1.
        seed: of the latent vector.
        psi: truncation; 1 is none, 0 the mean image of the mixture.
        parents: digests of the photographs that the image was derived from, by projection; no names.
        noise_mode: of the synthesis: const, random or none.
        execution: what the last bits of the image depend on (`morphoscope.generate.execution`).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # later versions may add to the mark

    generator: str | None = None
    phantoms_only: bool = False
    label: dict[str, float] | None = None
    seed: int | None = Field(None, ge=0)
    psi: float | None = None
    parents: list[str] | None = Field(None, max_length=1000)
    noise_mode: str | None = None
    execution: str | None = None

    @field_validator("label", mode="before")
    @classmethod
    def _from_text(cls, label: Any) -> Any:
        if not isinstance(label, str):
            return label
        found = _MORPH_LABEL.fullmatch(label)
        return mixture(found[2], found[4], float(found[3])) if found else {label: 1.0}

    @field_validator("label")
    @classmethod
    def _adds_up(cls, label: dict[str, float] | None) -> dict[str, float] | None:
        if label is not None and not _is_mixture(label):
            raise ValueError("shares from 0 to 1 that add up to 1 are expected")
        return label

    @property
    def statement(self) -> str:
        """What the file says to people.

        A generator may reproduce its training images, so that only one trained on nothing but phantoms is
        certain to show no patient, as long as no photograph was projected into it.
        """
        meaning = "not a photograph; may resemble its training photographs"
        if self.parents:
            meaning = f"derived from {_DERIVED}"
        elif self.phantoms_only:
            meaning = _NO_PATIENT
        return f"yes: made by a generator, {meaning}"

    @property
    def sheet_caption(self) -> str:
        """The statement for a sheet of images, printed above them."""
        meaning = "not photographs; they may resemble its training photographs"
        if self.parents:
            meaning = f"derived from {_DERIVED}"
        elif self.phantoms_only:
            meaning = "trained on phantoms: no patient is shown"
        return f"SYNTHETIC images, generator {self.generator}, {meaning}"

    @property
    def summary(self) -> str:
        """What is known in a line: "60% IP + 40% ML · seed 3 · psi 0.7 · generator 0123abcd"."""
        known = {
            f"{label_text(self.label or {})}": self.label,
            f"seed {self.seed}": self.seed,
            f"psi {self.psi or 0:g}": self.psi,
            f"from photograph {', '.join(self.parents or [])}": self.parents,
            f"generator {self.generator}": self.generator,
        }
        return " · ".join(text for text, value in known.items() if value is not None) or "origin not recorded"

    def columns(self) -> dict[str, str]:
        """The manifest's cells of one image: generator, seed, label (as JSON), psi and phantom."""
        assert self.label and self.psi is not None, "of one image"
        return {
            "generator": str(self.generator),
            "seed": str(self.seed),
            "label": json.dumps(self.label),
            "psi": f"{self.psi:g}",
            "phantom": str(self.phantoms_only).lower(),
        }


def mixture(a: str, b: str, share: float) -> dict[str, float]:
    """The label of a morph at `share` (0 to 1) of condition b, the rest of condition a; no share of 0."""
    shares = {a: 1.0} if a == b else {a: 1 - share, b: share}
    return {name: part for name, part in shares.items() if part > 0}


def label_text(label: Mapping[str, float]) -> str:
    """A label as people read it, "60% IP + 40% ML"; shares below half a percent are left out."""
    percents = {name: round(100 * share) for name, share in label.items()}
    return " + ".join(f"{percent}% {name}" for name, percent in percents.items() if percent > 0)


def read_mixture(cell: str) -> dict[str, float] | None:
    """Parse a cell of `label`: a JSON object of shares from 0 to 1 that add up to 1, else None."""
    shares = _parse(cell)
    return shares if isinstance(shares, dict) and _is_mixture(shares) else None


def read_names(cell: str) -> list[str] | None:
    """Parse a cell of `trained_on_folds`: a JSON list of strings, else None."""
    names = _parse(cell)
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def read_ancestor_cohorts(cell: str) -> list[str] | None:
    """Parse a cell of the optional column `ancestor_cohorts`, in which nothing means none."""
    return read_names(cell) if cell else []


def encode_synthetic_png(image: Image.Image, provenance: Provenance, compress_level: int = 6) -> bytes:
    """The image as a PNG file with its pixels as they are and its provenance in the metadata.

    Args:
        compress_level: of zlib, 0 (fast) to 9 (small).
    """
    texts = PngInfo()
    texts.add_text(_STATEMENT, provenance.statement)
    texts.add_text(_SOFTWARE, "Morphoscope")
    texts.add_text(_CONTENT, json.dumps(provenance.model_dump(exclude_none=True)))
    texts.add_itxt(_XMP, _packet(provenance))
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=compress_level, pnginfo=texts)
    return buffer.getvalue()


def write_synthetic_image(path: Path, pixels: np.ndarray, provenance: Provenance) -> None:
    """Write uint8 [H, W, 3] RGB, or [H, W] grey, atomically as a PNG file that carries its provenance.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    with write_atomically(path) as temporary:
        temporary.write_bytes(encode_synthetic_png(Image.fromarray(pixels), provenance))


def read_provenance(image: Image.Image) -> Provenance | None:
    """The provenance of an opened image; None if it carries no mark.

    A mark without a valid JSON object (earlier versions of the studio wrote none) still counts: the fields
    that it lacks are None then.

    Raises:
        OSError, SyntaxError, ValueError: the file is damaged.
    """
    image.load()  # texts may follow the pixels
    if _STATEMENT not in image.info:
        return None
    return _parsed(str(image.info[_STATEMENT]), image.info.get(_CONTENT, "{}"))


def _parsed(statement: str, content: str) -> Provenance:
    """The provenance that two texts of a mark give."""
    phantoms_only = _NO_PATIENT in statement
    try:
        return Provenance.model_validate({"phantoms_only": phantoms_only, **dict(json.loads(content))})
    except (ValueError, TypeError, RecursionError):  # pydantic's errors are ValueErrors
        return Provenance(phantoms_only=phantoms_only)


def file_provenance(data: bytes) -> Provenance | None:
    """The provenance in the bytes of an image file; None if it carries no mark.

    Raises:
        OSError, SyntaxError, ValueError: the file is damaged.
    """
    if not is_marked_synthetic(data):
        return None
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        return read_provenance(image)


def is_marked_synthetic(data: bytes) -> bool:
    """Whether `data` is a PNG file with the mark of a synthetic image; no pixel is decoded."""
    return bool(mark_chunks(png.chunks(data)))


def carry_mark(source: bytes, target: bytes) -> bytes:
    """The PNG file `target` with the mark that the file `source` carries, if it carries one."""
    return png.insert_after_header(target, mark_chunks(png.chunks(source)))


def mark_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """The chunks, of the (type, whole chunk) of a PNG file, that are its mark; none without a statement.

    An XMP packet belongs to the mark if it is what the other texts say: a packet of another origin can hold
    what is personal.
    """
    texts = {chunk: key for kind, chunk in chunks if (key := png.text_key(kind, chunk)) is not None}
    mark = [chunk for chunk, key in texts.items() if key in _MARK]
    told = {
        texts[chunk].decode("latin-1"): chunk[8:-4].partition(b"\0")[2].decode("latin-1") for chunk in mark
    }
    if _STATEMENT not in told:
        return []
    expected = _packet(_parsed(told[_STATEMENT], told.get(_CONTENT, "{}"))).encode()
    packet = png.chunk(b"iTXt", _XMP.encode() + b"\0\0\0\0\0" + expected)
    return [chunk for chunk, key in texts.items() if key in _MARK or chunk == packet]


def _packet(provenance: Provenance) -> str:
    """XMP with what the IPTC Photo Metadata Standard 2025.1 has for images that a model generated."""
    known = {
        "DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "AISystemUsed": "Morphoscope, StyleGAN2-ADA",
        "AISystemVersionUsed": provenance.generator and f"generator {provenance.generator}",
        "AIPromptInformation": provenance.summary,
    }
    fields = " ".join(f"Iptc4xmpExt:{name}={quoteattr(text)}" for name, text in known.items() if text)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" {fields}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def _parse(cell: str) -> Any:
    """What a cell holds as JSON; None if it is not valid JSON."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _is_mixture(shares: Mapping[str, Any]) -> bool:
    numbers = list(shares.values())
    if not all(isinstance(number, (int, float)) and 0 <= number <= 1 for number in numbers):
        return False
    return math.isclose(sum(numbers), 1, abs_tol=_TOLERANCE)
