"""Zip files of folders."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def zipped() -> Callable[[Path, Path], Path]:
    """zipped(folder, target) -> target, a zip file of the folder's files."""

    def write(folder: Path, target: Path) -> Path:
        with zipfile.ZipFile(target, "w") as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder).as_posix())
        return target

    return write
