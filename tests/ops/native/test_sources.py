"""The digest of the kernels' sources."""

from pathlib import Path

import pytest

from morphoscope.ops.native import sources as module
from morphoscope.ops.native.sources import sources_digest


def test_the_digest_covers_headers_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu").mkdir()
    monkeypatch.setattr(module, "SOURCES", tmp_path)
    digests = {sources_digest("cpu")}
    for name, text in [
        ("params.h", "1"),
        ("params.h", "2"),
        ("cpu/a.h", "2"),
        ("cpu/b.cpp", ""),
        ("cpu/c.cpp", ""),
    ]:
        (tmp_path / name).write_text(text)
        digests.add(sources_digest("cpu"))
    assert len(digests) == 6
