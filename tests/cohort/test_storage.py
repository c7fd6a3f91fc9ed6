"""Nothing is read outside a cohort's folder or zip, and nothing incomplete is left."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from morphoscope.cohort.storage import new_folder, open_store, unsafe_reason
from morphoscope.configs import UserError


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "C:/a", "a\\b", "", "a\x00b", ".."])
def test_paths_that_leave_the_folder(name: str) -> None:
    assert unsafe_reason(name) is not None


@pytest.mark.parametrize("name", ["a.png", "images/a b.png", "..a/b", "Café/ü.jpg"])
def test_paths_that_stay(name: str) -> None:
    assert unsafe_reason(name) is None


def test_folder_refuses_a_path_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "inside").mkdir()
    store = open_store(tmp_path / "inside")
    assert not store.has("../secret.txt")
    with pytest.raises(UserError, match="leads out of its folder"):
        store.read("../secret.txt")


def test_folder_refuses_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.png").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(UserError, match=r"a\.png: a link to outside"):
        open_store(tmp_path / "inside").read("a.png")


@pytest.mark.parametrize("member", ["../evil.png", "/evil.png", "a/../../evil.png"])
def test_zip_with_a_member_that_leads_out_is_refused_and_named(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("manifest.csv", "file,condition\n")
        archive.writestr(member, b"x")
    with pytest.raises(UserError, match=r"evil\.png.*bad\.zip"):
        open_store(tmp_path / "bad.zip")


def test_zip_reads_and_lists(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("b/two.png", "one.png", "__MACOSX/one.png", ".DS_Store", "notes.txt"):
            archive.writestr(name, name.encode())
    store = open_store(tmp_path / "a.zip")
    assert store.names() == ["b/two.png", "notes.txt", "one.png"]
    assert store.images() == ["b/two.png", "one.png"]
    assert store.read("b/two.png") == b"b/two.png"


@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
def test_zip_names_without_the_flag_for_utf8(tmp_path: Path, encoding: str) -> None:
    name = "café.png".encode(encoding)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x" * len(name), b"0")
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name))
    assert open_store(path).images() == ["café.png"]


def test_a_zip_with_two_files_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"0")
        archive.writestr("b.png", b"1")
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes().replace(b"b.png", b"a.png"))
    with pytest.raises(UserError, match=r"more than one file is named a\.png"):
        open_store(tmp_path / "a.zip")


UNDECODABLE = os.fsdecode(b"caf\xe9.png")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / UNDECODABLE).touch()
    store = open_store(tmp_path)
    assert store.images() == [UNDECODABLE] and not store.has(UNDECODABLE)
    with pytest.raises(UserError, match=r"'caf\\udce9\.png': the name is not valid UTF-8; rename the file"):
        store.read(UNDECODABLE)


def test_zip_member_larger_than_the_bound(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(100_000))
    with pytest.raises(UserError, match=r"bomb\.png: larger than"):
        open_store(tmp_path / "a.zip").read("bomb.png", max_bytes=50_000)


def test_damaged_zip_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"0123456789")
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780"))
    with pytest.raises(UserError, match=r"a\.png: damaged in"):
        open_store(path).read("a.png")


def test_not_a_zip(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("no")
    with pytest.raises(UserError, match=r"a\.zip: not a readable zip file"):
        open_store(tmp_path / "a.zip")


def test_new_folder_leaves_nothing_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "result") as folder:
        (folder / "half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_mode_of_a_new_folder_follows_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with new_folder(tmp_path / "result") as folder:
            (folder / "a.txt").write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "result").stat().st_mode & 0o777 == 0o777 & ~umask


def test_new_folder_does_not_touch_an_existing_one(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(UserError, match="already exists"), new_folder(tmp_path):
        pass
    assert (tmp_path / "kept.txt").read_text() == "kept"


KILLED = """
import os, signal, sys
from pathlib import Path
from morphoscope.cohort import new_folder
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "image.png").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_the_partial_folder_of_a_killed_process_is_removed_and_a_live_one_stays(tmp_path):
    path = tmp_path / "synthetic.v2"
    other = tmp_path / f".other.{'0a' * 8}"
    other.mkdir()
    words = [sys.executable, "-c", KILLED, str(path)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    partial = Path(process.stdout.readline().strip())
    assert partial.parent == tmp_path and partial.is_dir()
    with pytest.raises(RuntimeError), new_folder(path):
        raise RuntimeError  # a second writer neither disturbs the first, which is still at work …
    assert partial.is_dir()
    process.kill()
    process.communicate()
    with new_folder(path) as folder:  # … nor keeps what it left
        (folder / "image.png").write_bytes(b"y")
    assert sorted(tmp_path.iterdir()) == sorted([other, path])
    assert (path / "image.png").read_bytes() == b"y"


def test_a_name_that_is_too_long_for_a_file_is_absent(tmp_path: Path) -> None:
    assert not open_store(tmp_path).has("a" * 5000)


def test_a_zip_with_an_empty_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", b"")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"x", b"\0"))  # zipfile cuts names at a NUL
    with pytest.raises(UserError, match="empty path"):
        open_store(tmp_path / "a.zip")
