"""Built kernels on disk: each is built once per machine, by one process, and is complete or absent.

They are code that this program executes, so they lie in a folder that only this user (or the administrator)
can write (`private`). A digest beside each file detects damage; it is no defence, since whoever could replace
the file could replace the digest.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from morphoscope.configs import UserError
from morphoscope.ops.native.private import open_private, require_private
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.runtime.files import write_atomically, write_text

log = logging.getLogger(__name__)

_POLL = 0.05  # seconds between two attempts to take the lock
_PATIENCE = 3.0  # seconds of waiting before a message is logged


_MODE = 0o600  # of all files


class Built(NamedTuple):
    """A finished file of the cache, checked and open.

    Attributes:
        path: of the file.
        seconds: duration of its build.
        descriptor: of the very file that was checked, whatever is at `path` by now. It is never closed: the
            dynamic linker would take another library that it opens by the same name for this one.
    """

    path: Path
    seconds: float
    descriptor: int

    @property
    def opened(self) -> str:
        """A path that names the open file."""
        return f"/proc/self/fd/{self.descriptor}"


def cache_folder() -> Path:
    """Folder of built kernels: MORPHOSCOPE_CACHE, or `morphoscope/kernels` in the user's cache folder."""
    if chosen := os.environ.get("MORPHOSCOPE_CACHE"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "morphoscope", "kernels")
    except RuntimeError as error:
        raise _unwritable("this user has no home folder") from error


def built(kind: str, key: Mapping[str, str], suffix: str, build: Callable[[Path], None]) -> Built:
    """Return the file for `key` from the cache, or build it now.

    Any number of processes may call this at once: one builds, and the others wait for it. If the build fails,
    they fail with the same error instead of building in turn; a later call tries again.

    Args:
        kind: what is built, for the file's name and for messages ("cpu").
        key: everything that the result depends on: digest of the sources, compiler, flags, architecture.
        suffix: of the file's name.
        build: writes the finished file to the path that it is called with, in a folder that is private too.

    Raises:
        Unavailable: the build failed, here or in the process that was waited for; the cache folder cannot be
            written; or others can write it or a file in it.
    """
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()
    path = cache_folder() / f"{kind}-{digest[:16]}{suffix}"
    try:
        require_private(path.parent)
    except OSError as error:
        raise _unwritable(f"{path.parent}: {error.strerror}") from error
    if found := _verified(path):  # no lock: files are renamed into place; so a read-only cache works
        return found
    with _locked(path) as failure:
        if found := _verified(path):  # built while we waited
            return found
        _build(kind, key, path, build, failure)
        if found := _verified(path):
            return found
    raise Unavailable(f"{path} changed as soon as it was built", "run the command again")


def _build(
    kind: str, key: Mapping[str, str], path: Path, build: Callable[[Path], None], failure: IO[str]
) -> None:
    # Unfinished files are from processes that were killed: while we hold the lock, no other process builds.
    for orphan in path.parent.glob(f".{path.stem}.*"):
        if orphan.is_dir():
            shutil.rmtree(orphan, ignore_errors=True)
        else:
            orphan.unlink(missing_ok=True)
    log.info("Building the %s kernels (once per machine) …", kind)
    started = time.perf_counter()
    try:
        with write_atomically(path, _MODE) as temporary:
            build(temporary)
            size, digest = temporary.stat().st_size, _sha256(temporary)
        seconds = time.perf_counter() - started
        sidecar = {"kind": kind, "key": dict(key), "seconds": seconds, "time": time.time()}
        # Written last: a kernel file without a sidecar, or with an older one, is ignored.
        text = json.dumps(sidecar | {"size": size, "sha256": digest}, indent=1)
        write_text(_sidecar(path), text, _MODE)
        log.info("Built the %s kernels in %.1f s.", kind, seconds)
    except Unavailable as error:
        json.dump({"reason": error.reason, "fix": error.fix}, failure)
        raise
    except UserError as error:
        raise _unwritable(str(error)) from error


def _verified(path: Path) -> Built | None:
    """The file, open, if it is complete; None if it is absent or damaged.

    Raises:
        Unavailable: another user could have written it.
    """
    try:
        with os.fdopen(open_private(_sidecar(path)), encoding="utf-8") as file:
            text = file.read()
        descriptor = open_private(path)
    except OSError:
        return None
    try:
        sidecar: dict[str, Any] = json.loads(text)
        complete = os.fstat(descriptor).st_size == sidecar["size"]
        if complete and _sha256(descriptor) == sidecar["sha256"]:
            return Built(path, float(sidecar["seconds"]), descriptor)
    except (ValueError, KeyError, TypeError):
        pass
    os.close(descriptor)
    log.warning("%s is damaged and will be built again.", path)
    return None


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """Hold the lock of one build; yields a file for a failure that the waiting processes will read.

    The operating system releases a flock when its holder dies for any reason, so that no stale lock can
    remain. On NFS, Linux turns it into a lock on the server, so that nodes that share a home folder wait for
    each other too. If the mount keeps locks local (local_lock), two nodes may build at once, and each renames
    a complete file into place.
    """
    import fcntl  # does not exist on Windows, where nothing is built

    lock = path.with_suffix(".lock")
    try:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        file = os.fdopen(os.open(lock, flags, _MODE), "a+", encoding="utf-8")
    except OSError as error:
        raise _unwritable(f"{lock.parent}: {error.strerror}") from error
    with file:
        earlier = _stamp(file)
        started, announced = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in {errno.EWOULDBLOCK, errno.EACCES, errno.EINTR}:
                    raise _unwritable(f"{lock}: cannot be locked ({error.strerror})") from error
            if not announced and time.monotonic() - started > _PATIENCE:
                log.info("Waiting for another process to build the same kernels (%s) …", lock)
                announced = True
            time.sleep(_POLL)
        try:
            if _stamp(file) != earlier and (text := lock.read_text(encoding="utf-8")):
                raise Unavailable(**json.loads(text))  # from the process that we waited for
            file.truncate(0)
            yield file
        finally:
            file.flush()
            fcntl.flock(file, fcntl.LOCK_UN)  # explicitly, because a forked child may share the open file


def _stamp(file: IO[str]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _sha256(file_or_descriptor: Path | int) -> str:
    with open(file_or_descriptor, "rb", closefd=isinstance(file_or_descriptor, Path)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritable(reason: str) -> Unavailable:
    return Unavailable(
        f"the build cache cannot be written ({reason})",
        "set MORPHOSCOPE_CACHE to a folder that you can write to",
    )
