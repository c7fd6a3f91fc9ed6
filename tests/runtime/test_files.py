"""Files are complete or absent, whatever goes wrong."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.runtime import write_atomically, write_text
from morphoscope.runtime.torch_checkpoints import write_checkpoint


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_writes_and_replaces_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "notes.txt"
    write_text(path, "first")
    write_text(path, "zweite Fassung ü")
    assert path.read_text(encoding="utf-8") == "zweite Fassung ü"
    assert _names(path.parent) == ["notes.txt"]


def test_the_temporary_file_is_beside_the_target_with_its_suffix(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "image.png") as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")
        assert not (tmp_path / "image.png").exists()
        temporary.write_bytes(b"png")
    assert _names(tmp_path) == ["image.png"]


@pytest.fixture(params=[0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_the_mode_follows_the_umask(tmp_path: Path, umask: int) -> None:
    write_text(tmp_path / "made" / "note.txt", "x")
    write_text(tmp_path / "made" / "note.txt", "replaced")
    write_checkpoint(tmp_path / "weights.safetensors", "toy", {"a": torch.zeros(1)}, {})
    for name in ("made/note.txt", "weights.safetensors"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.parametrize("error", [KeyError("bug"), KeyboardInterrupt()])
def test_an_error_inside_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(type(error)), write_atomically(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["table.csv"]


def test_a_full_disk_is_a_user_error_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"table\.csv: cannot be written \(No space left on device\)"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["table.csv"]


def test_a_folder_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"file/table\.csv: cannot be written"):
        write_text(tmp_path / "file" / "table.csv", "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_a_user_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match=r"table\.csv: cannot be written \(Permission denied\)"):
        write_text(tmp_path / "table.csv", "x")
    tmp_path.chmod(0o755)
    assert _names(tmp_path) == []


def test_a_folder_in_the_place_of_the_file_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(UserError, match=r"table\.csv: cannot be written"):
        write_text(tmp_path / "table.csv", "x")
    assert _names(tmp_path) == ["table.csv"]
