"""The lock of a run folder: one process at a time writes into it, and a killed one does not block it."""

import errno
import getpass
import json
import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_TAKEN = {errno.EWOULDBLOCK, errno.EACCES}
_MOST_BYTES = 10_000
_guards: set[int] = set()


@dataclass(frozen=True)
class Holder:
    """The process that writes into a run folder.

    Attributes:
        host, user: where it runs, and for whom.
        pid: its number.
        process_start: tells it from a later process with its number; "" if the system does not say.
        since: local time, ISO 8601.
        command: its command line.
        inode: number of the lock's file; another one in a copy of the run folder.
    """

    host: str
    user: str
    pid: int
    process_start: str
    since: str
    command: str
    inode: int

    @classmethod
    def this_process(cls, inode: int) -> "Holder":
        """A description of the process that calls."""
        return cls(
            socket.gethostname(),
            _user(),
            os.getpid(),
            process_start(os.getpid()) or "",
            datetime.now().astimezone().isoformat(timespec="seconds"),
            " ".join(sys.argv[1:])[:1000],
            inode,
        )

    @classmethod
    def read(cls, path: Path) -> "Holder | None":
        """The holder that a file describes; None where the file is absent or damaged."""
        try:
            holder = cls(**json.loads(read_regular(path, _MOST_BYTES, follow_links=False)))
        except (ValueError, TypeError, RecursionError):  # a UserError is a ValueError
            return None
        kinds = {name: type(value) for name, value in vars(holder).items()}
        return holder if kinds == cls.__annotations__ else None

    def __str__(self) -> str:
        what = f", `{self.command}`" if self.command else ""
        return f"process {self.pid} on {self.host} (user {self.user}, since {self.since}{what})"

    def is_gone(self, inode: int) -> bool:
        """Whether it certainly holds the lock no more.

        Args:
            inode: of the lock's file in this folder.
        """
        if inode != self.inode:
            return True  # it holds the folder that this one was copied from
        if self.host != socket.gethostname():
            return False
        now = process_start(self.pid)
        return now is None or bool(now and self.process_start and now != self.process_start)


class RunLock:
    """Lock of the run folder whose records are in `folder`; not reentrant.

    Two files: `lock` is locked by flock, which ends with the process; `holder.json` says which process that
    is, and is the whole lock where the file system has no flock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder = folder / "holder.json"
        self._guard: int | None = None
        self._has_flock: bool | None = None
        self._taken = False

    def acquire(self) -> None:
        """Take the lock; from a process that is gone, with a message.

        Raises:
            UserError: another process holds it, or the folder cannot be written.
        """
        try:
            while not self._is_lock(guard := self._open()):  # an earlier holder removed it in the meantime
                self._close()
            self._take(guard)
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be written ({error.strerror}).") from error
        finally:
            if not self._taken:
                self._close()

    def release(self) -> None:
        """Give the lock back."""
        self._holder.unlink(missing_ok=True)
        self._taken = False
        self._close()

    def remove(self) -> None:
        """While it is held: delete its files, and then the folder if it is empty."""
        self._holder.unlink(missing_ok=True)
        (self._folder / "lock").unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def _open(self) -> int:
        """Open the lock's file, and lock it where the file system can do that."""
        self._folder.mkdir(exist_ok=True)
        self._guard = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR | _NO_FOLLOW, 0o666)
        _guards.add(self._guard)
        self._has_flock = flock(self._guard)
        if self._has_flock is False:
            raise UserError(self._refusal(Holder.read(self._holder)))
        return self._guard

    def _is_lock(self, guard: int) -> bool:
        """Whether an open file is the one that other processes find."""
        try:
            return os.fstat(guard).st_ino == (self._folder / "lock").stat(follow_symlinks=False).st_ino
        except FileNotFoundError:
            return False

    def _take(self, guard: int) -> None:
        inode = os.fstat(guard).st_ino
        while not self._write_holder(Holder.this_process(inode)):
            before = Holder.read(self._holder)
            # Without flock, two processes could both find the holder gone, and both take over.
            if not self._has_flock or not (before is None or before.is_gone(inode)):
                raise UserError(self._refusal(before))
            if before is not None and before.inode == inode:
                log.info("%s: took over from %s, which is gone.", self._folder.parent, before)
            self._holder.unlink(missing_ok=True)
        self._taken = True

    def _write_holder(self, holder: Holder) -> bool:
        """Whether there was no holder, so that this one could be written."""
        try:
            handle = os.open(self._holder, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(holder)) + "\n")
        return True

    def _refusal(self, holder: Holder | None) -> str:
        run = self._folder.parent
        if holder is None:
            return f"{run}: another process has just started to use this run folder; choose another --run."
        if holder.host == socket.gethostname() and fcntl is not None:
            return f"{run}: in use by {holder}. Wait for it, stop it, or choose another --run."
        return (
            f"{run}: in use by {holder}, which this computer cannot check. If that process is gone, delete "
            f"{self._holder} and try again."
        )

    def _close(self) -> None:
        if self._guard in _guards:  # in a forked worker it is closed, and the number may be another file's
            _guards.remove(self._guard)
            os.close(self._guard)
        self._guard = None


def process_start(pid: int) -> str | None:
    """When a process of this computer began, as its system says it; "" if it does not; None if it is gone."""
    if sys.platform == "win32":
        return ""  # where os.kill ends the process, whatever the signal
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass  # another user's
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return _start_by_ps(pid)
    if state in "ZX":  # ended; only its parent has not asked for its exit code yet
        return None
    return f"{_boot()} {fields[18]}"  # clock ticks since the boot


def _start_by_ps(pid: int) -> str:
    """For systems without /proc."""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())


_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def flock(handle: int) -> bool | None:
    """Lock an open file or folder until it is closed.

    Returns:
        False if another process has locked it; None if the system or the file system cannot.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _TAKEN else None
    return True


def _close_guards() -> None:
    """In a forked worker, which would otherwise keep the lock of its killed parent."""
    for guard in list(_guards):
        with suppress(OSError):
            os.close(guard)
    _guards.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_guards)
