"""Built kernels on disk: each is built once per machine, by one process, and is complete or absent."""

import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from morphoscope.configs import UserError
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.runtime.files import write_atomically, write_text

log = logging.getLogger(__name__)

_POLL = 0.05  # seconds between two attempts to take the lock
_PATIENCE = 3.0  # seconds of waiting before a message is logged


def cache_folder() -> Path:
    """Folder of built kernels: MORPHOSCOPE_CACHE, or `morphoscope/kernels` in the user's cache folder."""
    if chosen := os.environ.get("MORPHOSCOPE_CACHE"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "morphoscope", "kernels")
    except RuntimeError as error:
        raise _unwritable("this user has no home folder") from error


def built(
    kind: str, key: Mapping[str, str], suffix: str, build: Callable[[Path], None]
) -> tuple[Path, float]:
    """Return the file for `key` from the cache, or build it now.

    Any number of processes may call this at once: one builds, and the others wait for it. If the build fails,
    they fail with the same error instead of building in turn; a later call tries again.

    Args:
        kind: what is built, for the file's name and for messages ("cpu").
        key: everything that the result depends on: digest of the sources, compiler, flags, architecture.
        suffix: of the file's name.
        build: writes the finished file to the path that it is called with.

    Returns:
        The path, and the seconds that the build took.

    Raises:
        Unavailable: the build failed, here or in the process that was waited for; or the cache folder cannot
            be written.
    """
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()
    path = cache_folder() / f"{kind}-{digest[:16]}{suffix}"
    seconds = _verified(path)
    if seconds is not None:  # no lock: files are renamed into place; so a read-only cache works
        return path, seconds
    with _locked(path) as failure:
        seconds = _verified(path)  # built while we waited
        if seconds is None:
            seconds = _build(kind, key, path, build, failure)
    return path, seconds


def _build(
    kind: str, key: Mapping[str, str], path: Path, build: Callable[[Path], None], failure: IO[str]
) -> float:
    # Unfinished files are from processes that were killed: while we hold the lock, no other process builds.
    for orphan in path.parent.glob(f".{path.stem}.*"):
        orphan.unlink(missing_ok=True)
    log.info("Building the %s kernels (once per machine) …", kind)
    started = time.perf_counter()
    try:
        with write_atomically(path) as temporary:
            build(temporary)
            size, digest = temporary.stat().st_size, _sha256(temporary)
        seconds = time.perf_counter() - started
        sidecar = {"kind": kind, "key": dict(key), "seconds": seconds, "time": time.time()}
        # Written last: a kernel file without a sidecar, or with an older one, is ignored.
        write_text(_sidecar(path), json.dumps(sidecar | {"size": size, "sha256": digest}, indent=1))
        log.info("Built the %s kernels in %.1f s.", kind, seconds)
    except Unavailable as error:
        json.dump({"reason": error.reason, "fix": error.fix}, failure)
        raise
    except UserError as error:
        raise _unwritable(str(error)) from error
    return seconds


def _verified(path: Path) -> float | None:
    """The seconds that the build took, if the file is complete; None if it is absent or damaged."""
    try:
        sidecar: dict[str, Any] = json.loads(_sidecar(path).read_text(encoding="utf-8"))
        if path.stat().st_size == sidecar["size"] and _sha256(path) == sidecar["sha256"]:
            return float(sidecar["seconds"])
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        pass
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
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+", encoding="utf-8")
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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritable(reason: str) -> Unavailable:
    return Unavailable(
        f"the build cache cannot be written ({reason})",
        "set MORPHOSCOPE_CACHE to a folder that you can write to",
    )
