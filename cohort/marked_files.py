"""The mark of synthesis in files: PNG images and films as GIF or MP4. One writer and one reader for all.

Every file carries an XMP packet with the properties by which other programs recognise generated images
(IPTC Photo Metadata Standard 2025.1), and the whole provenance as a JSON object. A PNG file has three more
texts: `Synthetic`, a statement for people; `Software`; and `Morphoscope`, that JSON object. Importers keep
the mark when they strip all other metadata, and `Cohort.check` finds images that carry it but are listed as
real.
"""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image

from morphoscope.cohort import gif, mp4, png
from morphoscope.cohort.provenance import Provenance
from morphoscope.runtime import write_atomically

TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_STATEMENT, _SOFTWARE, _RECORD = "Synthetic", "Software", "Morphoscope"  # keywords of the three texts
_MARK = {key.encode() for key in (_STATEMENT, _SOFTWARE, _RECORD)}
_XMP = "XML:com.adobe.xmp"  # keyword of the packet (XMP specification, part 3)
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_OURS = "urn:uuid:4d10197d-874e-4cdc-bb25-b17f16352597#"
_MAX_PACKET = 4 * 2**20  # bytes
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def encode_synthetic_png(image: Image.Image, provenance: Provenance, compress_level: int = 6) -> bytes:
    """The image as a PNG file with its pixels as they are and its provenance in the metadata.

    Args:
        compress_level: of zlib, 0 (fast) to 9 (small).
    """
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=compress_level)
    return png.insert_after_header(buffer.getvalue(), _chunks(provenance))


def write_synthetic_image(path: Path, pixels: np.ndarray, provenance: Provenance) -> None:
    """Write uint8 [H, W, 3] RGB, or [H, W] grey, atomically as a PNG file that carries its provenance.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    with write_atomically(path) as temporary:
        temporary.write_bytes(encode_synthetic_png(Image.fromarray(pixels), provenance))


def mark_gif(path: Path, provenance: Provenance) -> None:
    """Write the mark into a GIF file; OSError if the disk is full."""
    path.write_bytes(gif.insert_xmp(path.read_bytes(), _packet(provenance)))


def mark_mp4(path: Path, provenance: Provenance) -> None:
    """Write the mark at the end of an MP4 file; OSError if the disk is full."""
    with path.open("ab") as file:
        file.write(mp4.xmp_box(_packet(provenance)))


def read_provenance(image: Image.Image) -> Provenance | None:
    """The provenance of an opened PNG image; None if it carries no mark.

    A mark without a valid JSON object (earlier versions of the studio wrote none) still counts: the fields
    that it lacks are None then.

    Raises:
        OSError, SyntaxError, ValueError: the file is damaged.
    """
    image.load()  # texts may follow the pixels
    if _STATEMENT not in image.info:
        return None
    return Provenance.parse(image.info.get(_RECORD, "{}"), str(image.info[_STATEMENT]))


def file_provenance(data: bytes) -> Provenance | None:
    """The provenance in the bytes of a PNG, GIF or MP4 file; None if it carries no mark.

    Raises:
        OSError, SyntaxError, ValueError: the file is damaged.
    """
    if not data.startswith(png.SIGNATURE):
        packet = gif.find_xmp(data) or mp4.find_xmp(data)
        record = None if packet is None else _record_in(packet)
        return None if record is None else Provenance.parse(record)
    if not mark_chunks(png.chunks(data)):
        return None
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        return read_provenance(image)


def media_type(data: bytes) -> str | None:
    """The media type of a file that can carry the mark; None for any other."""
    if data.startswith(png.SIGNATURE):
        return "image/png"
    if data.startswith(gif.SIGNATURE):
        return "image/gif"
    return "video/mp4" if mp4.is_mp4(data) else None


def is_marked_synthetic(data: bytes) -> bool:
    """Whether `data` is a PNG, GIF or MP4 file with the mark of synthesis; no pixel is decoded."""
    if data.startswith(png.SIGNATURE):
        return bool(mark_chunks(png.chunks(data)))
    return file_provenance(data) is not None


def carry_mark(source: bytes, target: bytes) -> bytes:
    """The PNG file `target` with the mark that the file `source` carries, if it carries one."""
    if source.startswith(png.SIGNATURE):
        return png.insert_after_header(target, mark_chunks(png.chunks(source)))
    provenance = file_provenance(source)
    return target if provenance is None else png.insert_after_header(target, _chunks(provenance))


def mark_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """The chunks, of the (type, whole chunk) of a PNG file, that are its mark; none without a statement.

    An XMP packet belongs to the mark if it is what the other texts say: a packet of another origin can hold
    what is personal.
    """
    texts = {chunk: key for kind, chunk in chunks if (key := png.text_key(kind, chunk)) is not None}
    mark = {key.decode("latin-1"): chunk for chunk, key in texts.items() if key in _MARK}
    if _STATEMENT not in mark:
        return []
    statement, record = (_text(mark.get(key)) for key in (_STATEMENT, _RECORD))
    packet = _packet_chunk(Provenance.parse(record or "{}", statement))
    return [chunk for chunk, key in texts.items() if key in _MARK or chunk == packet]


def _text(chunk: bytes | None) -> str:
    """The text of a tEXt chunk."""
    return "" if chunk is None else chunk[8:-4].partition(b"\0")[2].decode("latin-1")


def _chunks(provenance: Provenance) -> list[bytes]:
    """The chunks of the mark of a PNG file."""
    texts = {_STATEMENT: provenance.statement, _SOFTWARE: "Morphoscope", _RECORD: provenance.record}
    plain = [png.chunk(b"tEXt", f"{key}\0{text}".encode("latin-1")) for key, text in texts.items()]
    return [*plain, _packet_chunk(provenance)]


def _packet_chunk(provenance: Provenance) -> bytes:
    return png.chunk(b"iTXt", _XMP.encode() + b"\0\0\0\0\0" + _packet(provenance))


def _packet(provenance: Provenance) -> bytes:
    """XMP with what the IPTC standard has for images that a model generated, and the provenance."""
    known = {
        "Iptc4xmpExt:DigitalSourceType": digital_source_type(provenance),
        "Iptc4xmpExt:AISystemUsed": "Morphoscope, StyleGAN2-ADA",
        "Iptc4xmpExt:AISystemVersionUsed": provenance.generator and f"generator {provenance.generator}",
        "Iptc4xmpExt:AIPromptInformation": provenance.summary,
        "morphoscope:Provenance": provenance.record,
    }
    fields = " ".join(f"{name}={quoteattr(text)}" for name, text in known.items() if text)
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" '
        f'xmlns:morphoscope="{_OURS}" {fields}/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )
    return packet.encode()


def digital_source_type(provenance: Provenance) -> str:
    """The term of IPTC's NewsCodes for where the pixels come from."""
    return COMPOSITE_MEDIA if provenance.shows_photograph else TRAINED_ALGORITHMIC_MEDIA


def _record_in(packet: bytes) -> str | None:
    """The record of the provenance in a packet, also if another program wrote it again; None without one."""
    # Entities, which XMP has no use for, can grow without bounds.
    if len(packet) > _MAX_PACKET or b"<!" in packet:
        return None
    try:
        root = ElementTree.fromstring(packet)
    except (ElementTree.ParseError, ValueError):
        return None
    name = f"{{{_OURS}}}Provenance"
    for element in root.iter():
        if element.tag == name or name in element.attrib:
            return element.get(name, element.text or "{}")
    return None
