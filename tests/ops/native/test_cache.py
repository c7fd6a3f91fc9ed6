"""The build cache: one build, complete or absent, for any number of processes, even if they are killed."""

import json
import logging
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from morphoscope.ops.native.cache import built, cache_folder
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
        path, seconds = built("cpu", KEY, ".so", builder)
    assert path.read_bytes() == b"kernels"
    assert path.parent == folder
    assert path.name.startswith("cpu-")
    assert caplog.messages[0] == "Building the cpu kernels (once per machine) …"
    assert re.fullmatch(r"Built the cpu kernels in \d+\.\d s\.", caplog.messages[1])
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert built("cpu", dict(reversed(KEY.items())), ".so", builder) == (path, seconds)
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
    path, _ = built("cpu", KEY, ".so", builder)
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
    path, _ = built("cpu", KEY, ".so", Builder(tmp_path))
    path.with_suffix(".lock").unlink()
    monkeypatch.setattr("morphoscope.ops.native.cache._locked", None)
    assert built("cpu", KEY, ".so", Builder(tmp_path))[0] == path
