"""The build cache: one build, complete or absent, for any number of processes, even if they are killed."""

import json
import logging
import multiprocessing
import os
import re
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from morphoscope.ops.native.cache import built, cache_folder
from morphoscope.ops.native.private import objection
from morphoscope.ops.native.toolchain import Unavailable

KEY = {"sources": "abc", "compiler": "g++ 12"}
fork = multiprocessing.get_context("fork")  # children start at once and share the parent's barrier


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MORPHOSCOPE_CACHE", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


class Builder:
    """Counts its builds on disk, together with those of other processes."""

    def __init__(self, folder: Path, seconds: float = 0.0, fails: bool = False) -> None:
        self.log, self.seconds, self.fails = folder / "builds", seconds, fails

    def __call__(self, path: Path) -> None:
        with self.log.open("a") as file:
            file.write(".")
        path.write_bytes(b"half")
        time.sleep(self.seconds)
        if self.fails:
            raise Unavailable("no compiler", "install one")
        path.write_bytes(b"kernels")

    @property
    def count(self) -> int:
        return len(self.log.read_text()) if self.log.exists() else 0


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


def test_the_second_call_finds_what_the_first_built(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    builder = Builder(tmp_path, seconds=0.02)
    with caplog.at_level(logging.INFO):
        path, seconds, _ = built("cpu", KEY, ".so", builder)
    assert path.read_bytes() == b"kernels"
    assert path.parent == folder
    assert path.name.startswith("cpu-")
    assert caplog.messages[0] == "Building the cpu kernels (once per machine) …"
    assert re.fullmatch(r"Built the cpu kernels in \d+\.\d s\.", caplog.messages[1])
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert built("cpu", dict(reversed(KEY.items())), ".so", builder)[:2] == (path, seconds)
    assert caplog.messages == []  # said when they are built, not whenever they are used
    assert builder.count == 1
    assert seconds >= 0.02
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["key"] == KEY
    assert sidecar["seconds"] == seconds


def test_every_part_of_the_key_counts(tmp_path: Path) -> None:
    builder = Builder(tmp_path)
    paths = {
        built("cpu", KEY | change, ".so", builder)[0] for change in ({}, {"compiler": "13"}, {"isa": "x"})
    }
    assert len(paths) == builder.count == 3


@pytest.mark.parametrize("damage", ["truncate", "flip", "sidecar", "no sidecar", "gone"])
def test_a_damaged_file_is_built_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    builder = Builder(tmp_path)
    path, *_ = built("cpu", KEY, ".so", builder)
    sidecar = path.with_suffix(".json")
    {
        "truncate": lambda: path.write_bytes(b"ker"),
        "flip": lambda: path.write_bytes(b"kernelz"),
        "sidecar": lambda: sidecar.write_text("{"),
        "no sidecar": sidecar.unlink,
        "gone": path.unlink,
    }[damage]()
    assert built("cpu", KEY, ".so", builder)[0].read_bytes() == b"kernels"
    assert builder.count == 2
    assert ("damaged" in caplog.text) == (damage in {"truncate", "flip", "sidecar"})


def test_a_failed_build_leaves_nothing_and_is_tried_again_by_the_next_call(
    tmp_path: Path, folder: Path
) -> None:
    for _ in range(2):
        with pytest.raises(Unavailable, match="no compiler; install one"):
            built("cpu", KEY, ".so", Builder(tmp_path, fails=True))
        assert files(folder) == [".lock"]
    builder = Builder(tmp_path)
    assert builder.count == 2
    assert built("cpu", KEY, ".so", builder)[0].read_bytes() == b"kernels"
    assert built("cpu", KEY, ".so", builder)[0].exists()
    assert builder.count == 3


def start_together(count: int, call: Callable[[], str]) -> list[str]:
    """Results of `count` processes that call at the same time."""
    barrier, results = fork.Barrier(count), fork.SimpleQueue()

    def work() -> None:
        barrier.wait()
        try:
            results.put(call())
        except Unavailable as error:
            results.put(str(error))

    processes: list[Any] = [fork.Process(target=work) for _ in range(count)]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def test_one_of_eight_processes_builds(tmp_path: Path) -> None:
    builder = Builder(tmp_path, seconds=0.3)
    found = start_together(8, lambda: built("cpu", KEY, ".so", builder)[0].read_text())
    assert found == ["kernels"] * 8
    assert builder.count == 1


def test_a_failure_reaches_all_processes_that_waited_for_it(tmp_path: Path) -> None:
    builder = Builder(tmp_path, seconds=1.0, fails=True)
    found = start_together(8, lambda: str(built("cpu", KEY, ".so", builder)))
    assert found == ["no compiler; install one"] * 8
    assert builder.count == 1


def test_a_builder_that_is_killed_blocks_nobody(tmp_path: Path, folder: Path) -> None:
    dying = Builder(tmp_path, seconds=60)
    process: Any = fork.Process(target=built, args=("cpu", KEY, ".so", dying))
    process.start()
    while not dying.count:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert built("cpu", KEY, ".so", Builder(tmp_path))[0].read_bytes() == b"kernels"
    assert files(folder) == [".json", ".lock", ".so"], "its unfinished file is gone"


def test_waiting_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("morphoscope.ops.native.cache._PATIENCE", 0.1)
    builder = Builder(tmp_path, seconds=0.6)
    process: Any = fork.Process(target=built, args=("cpu", KEY, ".so", builder))
    process.start()
    while not builder.count:
        time.sleep(0.01)
    with caplog.at_level(logging.INFO):
        built("cpu", KEY, ".so", builder)
    process.join()
    assert caplog.text.count("Waiting for another process") == 1
    assert builder.count == 1


def test_a_programming_error_is_neither_kept_nor_converted(tmp_path: Path) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        built("cpu", KEY, ".so", broken)
    assert built("cpu", KEY, ".so", Builder(tmp_path))[0].exists()


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MORPHOSCOPE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/morphoscope/kernels")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert cache_folder() == Path("/home/anna/.cache/morphoscope/kernels")


def test_the_error_for_an_unwritable_folder_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MORPHOSCOPE_CACHE", str(tmp_path / "file" / "kernels"))
    with pytest.raises(Unavailable, match=r"cannot be written.*set MORPHOSCOPE_CACHE"):
        built("cpu", KEY, ".so", Builder(tmp_path))


def test_a_full_disk_is_not_a_compiler_error(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(Unavailable, match=r"cannot be written.*No space left"):
        built("cpu", KEY, ".so", full)


def test_a_read_only_cache_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, *_ = built("cpu", KEY, ".so", Builder(tmp_path))
    path.with_suffix(".lock").unlink()
    monkeypatch.setattr("morphoscope.ops.native.cache._locked", None)
    assert built("cpu", KEY, ".so", Builder(tmp_path))[0] == path


def test_what_is_created_is_the_users_alone_whatever_the_umask(tmp_path: Path, folder: Path) -> None:
    before = os.umask(0)
    try:
        path, *_ = built("cpu", KEY, ".so", Builder(tmp_path))
        assert built("cpu", KEY, ".so", Builder(tmp_path))[0] == path
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_may_write_is_refused(folder: Path, tmp_path: Path, mode: int) -> None:
    """A planted library with a matching digest was loaded and executed before."""
    built("cpu", KEY, ".so", Builder(tmp_path))
    folder.chmod(mode)
    with pytest.raises(Unavailable, match=rf"{folder} can be written by other users; run `chmod -R go-w"):
        built("cpu", KEY, ".so", Builder(tmp_path))


@pytest.mark.parametrize("suffix", [".so", ".json"])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, suffix: str) -> None:
    path, *_ = built("cpu", KEY, ".so", Builder(tmp_path))
    path.with_suffix(suffix).chmod(0o620)
    with pytest.raises(Unavailable, match=rf"cpu-.*{suffix} can be written by other users"):
        built("cpu", KEY, ".so", Builder(tmp_path))


@pytest.mark.parametrize("suffix", [".so", ".json"])
def test_a_link_or_a_pipe_in_the_folder_is_refused(tmp_path: Path, suffix: str) -> None:
    path = built("cpu", KEY, ".so", Builder(tmp_path))[0].with_suffix(suffix)
    moved = path.rename(tmp_path / "elsewhere")
    path.symlink_to(moved)
    with pytest.raises(Unavailable, match=rf"{path} is a link"):
        built("cpu", KEY, ".so", Builder(tmp_path))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Unavailable, match=rf"{path} is not a regular file"):
        built("cpu", KEY, ".so", Builder(tmp_path))


@pytest.mark.parametrize("what", ["folder", "file", "way"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator can give files to others")
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, folder: Path, what: str) -> None:
    path, *_ = built("cpu", KEY, ".so", Builder(tmp_path))
    theirs = {"folder": folder, "file": path, "way": tmp_path}[what]
    os.chown(theirs, 12345, -1)
    with pytest.raises(Unavailable, match=rf"{theirs} belongs to another user \(number 12345\)"):
        built("cpu", KEY, ".so", Builder(tmp_path))


def test_ownership_and_permissions_decide() -> None:
    me = os.geteuid()
    other = next(number for number in (1, 2) if number != me)

    def found(mode: int, owner: int, **options: bool) -> str | None:
        return objection(os.stat_result((mode, 0, 0, 1, owner, 0, 0, 0, 0, 0)), **options)

    way = {"on_the_way": True}
    assert found(stat.S_IFDIR | 0o755, me) is found(stat.S_IFDIR | 0o755, 0) is None
    assert "another user" in str(found(stat.S_IFDIR | 0o700, other))
    assert "another user" in str(found(stat.S_IFLNK | 0o777, other, **way))
    assert found(stat.S_IFLNK | 0o777, me, **way) is None
    assert found(stat.S_IFDIR | 0o1777, 0, **way) is None
    assert found(stat.S_IFDIR | 0o1777, 0) == found(stat.S_IFDIR | 0o777, 0, **way) != None  # noqa: E711


def test_the_way_to_the_folder_is_checked_through_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to("open/../open")
    monkeypatch.setenv("MORPHOSCOPE_CACHE", str(tmp_path / "link" / "kernels"))
    with pytest.raises(Unavailable, match=r"tmp.*/open can be written by other users"):
        built("cpu", KEY, ".so", Builder(tmp_path))
    (tmp_path / "open").chmod(0o1777)  # like /tmp
    assert built("cpu", KEY, ".so", Builder(tmp_path))[0].exists()
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(Unavailable, match="a circle of links"):
        built("cpu", KEY, ".so", Builder(tmp_path))


def test_what_was_checked_is_what_is_opened(tmp_path: Path) -> None:
    found = built("cpu", KEY, ".so", Builder(tmp_path))
    found.path.unlink()
    found.path.write_bytes(b"planted")
    assert Path(found.opened).read_bytes() == b"kernels"
