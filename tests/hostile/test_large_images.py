"""The largest photograph that is read is imported in bounded memory, and each of its pixels is compared."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hostile.images import encoded, photograph, png_chunk
from morphoscope.cohort import read_image
from morphoscope.cohort.importers import cleaning

PEAK = """
import sys
from pathlib import Path
from morphoscope.cohort.importers.cleaning import clean
assert not clean(Path(sys.argv[1]).read_bytes(), "a.png").is_new_png
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_64_megapixels_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + 3 * 8000)) for _ in range(8000)) + packer.flush()
    header = struct.pack(">IIBBBBB", 8000, 8000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts))
    done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1_000_000  # kB; two images in memory are 512,000


@pytest.mark.parametrize("row", [0, 255, 256, 599])
def test_a_pixel_that_stripping_changed_is_noticed(monkeypatch: pytest.MonkeyPatch, row: int) -> None:
    pixels = np.array(photograph(600, 40))
    changed = pixels.copy()
    changed[row, 39, 2] ^= 1
    data, other = (encoded(Image.fromarray(each), "PNG") for each in (pixels, changed))
    assert not cleaning.clean(data, "a.png").is_new_png
    monkeypatch.setattr(cleaning, "strip_metadata", lambda *_: other)
    cleaned = cleaning.clean(data, "a.png")
    assert cleaned.is_new_png
    assert np.array_equal(read_image(cleaned.data), pixels)
