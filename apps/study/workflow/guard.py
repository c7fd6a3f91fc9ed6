"""Runs the workflow engine for `study run`, and stops it when `study run` has ended, however that was.

`python -m morphoscope.apps.study.workflow.guard LOCK COMMAND…` exits with the command's code. Its standard
input is a pipe that nobody writes to. When the other end is closed, which SIGKILL does as well, the command's
process group receives SIGINT, upon which cells save what they have. What remains then receives SIGTERM, again
and again: a process that was just being started may have missed the first signal. (One that is saving ignores
SIGTERM; a second SIGINT would end it.) The file LOCK is locked until the last of them is gone.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morphoscope.runtime.run_lock import flock

LOOK_EVERY = 0.1
_AGAIN = 5.0  # seconds until the signal is repeated
_PATIENCE = 300.0  # seconds in which a cell saves its state


def is_running(lock: Path) -> bool:
    """Whether the engine, or a cell of it, still runs; False where the file system cannot lock files."""
    with _locked(lock) as locked:
        return locked is False


def main(lock: Path, command: list[str]) -> int:
    """Run the command; returns its exit code once nothing of it runs any more."""
    # A shell starts what it runs in the background with SIGINT ignored, and children would inherit that. A
    # handler of Python's would swallow a signal that comes between fork and exec.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with _locked(lock):
        engine = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        threading.Thread(target=_stop_when_alone, args=(engine.pid,), daemon=True).start()
        code = engine.wait()
        while _signalled(engine.pid, 0):
            time.sleep(LOOK_EVERY)
    return code if code >= 0 else 128 - code  # as shells report a signal


@contextmanager
def _locked(lock: Path) -> Iterator[bool | None]:
    """The file, locked; see `flock` for what it gives."""
    handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        yield flock(handle)
    finally:
        os.close(handle)


def _stop_when_alone(group: int) -> None:
    os.read(0, 1)  # not by sys.stdin, whose lock this thread would hold when the interpreter ends
    since = time.monotonic()
    _signalled(group, signal.SIGINT)
    while time.monotonic() - since < _PATIENCE:
        time.sleep(_AGAIN)
        _signalled(group, signal.SIGTERM)
    _signalled(group, signal.SIGKILL)


def _signalled(group: int, number: int) -> bool:
    """Send a signal to a process group; whether there is a process in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
