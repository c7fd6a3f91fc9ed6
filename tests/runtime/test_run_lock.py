"""One process at a time writes into a run folder; the lock of a killed one is taken over."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from morphoscope.configs import UserError
from morphoscope.runtime import RunFolder, run_lock
from morphoscope.runtime.run_lock import Holder, RunLock, process_start

HOLD = """
import sys, time
from pathlib import Path
from morphoscope.configs import UserError
from morphoscope.runtime import RunFolder
while time.time() < float(sys.argv[2]):
    time.sleep(0.001)
try:
    with RunFolder(Path(sys.argv[1])).held():
        print("holds", flush=True)
        sys.stdin.read()
except UserError as error:
    print(f"refused: {error}", flush=True)
"""


def start(run: Path, at: float = 0.0) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run), str(at)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def records(tmp_path: Path) -> Path:
    (tmp_path / "run" / ".run").mkdir(parents=True)
    return tmp_path / "run" / ".run"


def leave_lock(records: Path, **changes: object) -> Holder:
    """The files of a process that was killed while it held the lock."""
    (records / "lock").touch()
    holder = replace(Holder.this_process((records / "lock").stat().st_ino), **changes)
    (records / "holder.json").write_text(json.dumps(asdict(holder)))
    return holder


def test_of_processes_that_start_at_once_exactly_one_runs(tmp_path: Path) -> None:
    for attempt in range(3):
        processes = [start(tmp_path / f"run-{attempt}", time.time() + 2) for _ in range(4)]
        said = [process.stdout.readline() for process in processes]
        assert sorted(line.split()[0] for line in said) == ["holds", "refused:", "refused:", "refused:"]
        winner = next(process for process, line in zip(processes, said, strict=True) if "holds" in line)
        named = [line for line in said if f"process {winner.pid} on {socket.gethostname()}" in line]
        starting = [line for line in said if "has just started to use" in line]
        assert len(named) + len(starting) == 3
        for process in processes:
            process.communicate("")


def test_a_killed_process_is_followed_with_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(tmp_path)
    assert process.stdout.readline() == "holds\n"
    with (
        pytest.raises(UserError, match=rf"in use by process {process.pid} on .*Wait for it"),
        RunFolder(tmp_path).held(),
    ):
        pass
    process.send_signal(signal.SIGKILL)
    with caplog.at_level(logging.INFO, "morphoscope"):
        while True:  # the signal takes a moment
            try:
                with RunFolder(tmp_path).held():
                    break
            except UserError:
                time.sleep(0.01)
    assert f"took over from process {process.pid}" in caplog.text
    process.communicate()


def test_a_forked_worker_does_not_keep_the_lock_of_its_killed_parent(tmp_path: Path) -> None:
    # The parent prints once the child has run its handlers of the fork. Only one process prints: where output
    # is not buffered, print writes piece by piece, and two would mix lines.
    forks = """readable, writable = os.pipe()
        child = os.fork()
        if child:
            os.read(readable, 1)
            print(child, flush=True)
        else:
            os.write(writable, b"1")"""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os" + HOLD.replace('print("holds", flush=True)', forks),
            tmp_path,
            "0",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    os.kill(child, 0)  # still there, waiting for its input
    with RunFolder(tmp_path).held():
        pass
    process.stdin.close()


def test_a_reused_process_number_is_recognised(records: Path) -> None:
    leave_lock(records, process_start="another boot 17")
    RunLock(records).acquire()
    assert Holder.read(records / "holder.json").process_start == process_start(os.getpid())


def test_a_live_process_without_flock_keeps_the_lock(records: Path) -> None:
    leave_lock(records)  # this very process
    with pytest.raises(UserError, match=f"process {os.getpid()} on"):
        RunLock(records).acquire()


def test_a_lock_of_another_host_is_refused_with_the_way_out(records: Path) -> None:
    leave_lock(records, host="node17", command="generate train ham")
    with pytest.raises(
        UserError, match=r"on node17 .*`generate train ham`.*cannot check.*delete .*holder\.json"
    ):
        RunLock(records).acquire()
    (records / "holder.json").unlink()
    RunLock(records).acquire()


def test_a_copy_of_a_running_folder_is_free(records: Path) -> None:
    leave_lock(records, inode=-1, host="node17")
    RunLock(records).acquire()


@pytest.mark.parametrize("text", ["", "{", "5", "[]", '{"host": "a"}', '{"pid": "x"}'])
def test_a_damaged_holder_without_a_lock_is_replaced(records: Path, text: str) -> None:
    (records / "holder.json").write_text(text)
    RunLock(records).acquire()


def test_without_flock_there_is_one_holder_and_no_takeover(
    records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lock, "flock", lambda handle: None)
    lock = RunLock(records)
    lock.acquire()
    with pytest.raises(UserError, match="in use by"):
        RunLock(records).acquire()
    lock.release()
    RunLock(records).acquire()
    (records / "holder.json").unlink()
    leave_lock(records, process_start="another boot 17")
    with pytest.raises(UserError, match="in use by"):
        RunLock(records).acquire()


def test_a_link_in_the_place_of_the_records_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link"), RunFolder(tmp_path / "run").held():
        pass
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_process_that_ended_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    process.stdout.read()
    while process_start(process.pid) is not None:  # ends without being asked for its exit code
        time.sleep(0.01)
    assert process.wait() == 0
    assert process_start(os.getpid())
