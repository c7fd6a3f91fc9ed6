"""Tables and archives that are small on disk and large in memory, or that lie about themselves."""

import struct
import zipfile
from pathlib import Path


def zip_of(path: Path, **members: bytes) -> Path:
    """A compressed zip; `manifest__csv` stands for manifest.csv."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return path


def large_manifest(path: Path) -> Path:
    """80 MB that a zip holds in 100 kB."""
    return zip_of(path, manifest__csv=b"file,condition\n" + b"a.png,b\n" * 10_000_000)


def manifest_of_many_rows(path: Path) -> Path:
    """Two million rows, which would be a gigabyte as text in memory."""
    return zip_of(path, manifest__csv=b"file,condition\n" + b"a,b\n" * 2_000_000)


def manifest_of_many_columns(path: Path) -> Path:
    line = b"," * 99_998 + b"\n"
    names = b",".join(b"c%d" % number for number in range(99_999)) + b"\n"
    return zip_of(path, manifest__csv=names + (b"x" + line) * 100)


def name_that_is_not_the_utf8_it_claims(path: Path) -> Path:
    zip_of(path, manifest__csv=b"file,condition\n", caff__png=b"")
    content = path.read_bytes().replace(b"caff.png", b"caf\xff.png")
    flagged = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(signature)
        while start >= 0:
            flagged[start + offset : start + offset + 2] = struct.pack("<H", 0x800)
            start = content.find(signature, start + 1)
    path.write_bytes(flagged)
    return path


LARGE = [large_manifest, manifest_of_many_rows, manifest_of_many_columns]
