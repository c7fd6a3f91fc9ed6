"""Built kernels on disk: each is built once for a machine, by one process, and is whole or absent."""

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

_POLL = 0.05  # seconds between two tries for the lock
_PATIENCE = 3.0  # seconds of waiting before it is said


def cache_folder() -> Path:
    """Where built kernels lie: MORPHOSCOPE_CACHE, or `morphoscope/kernels` in the user's cache folder."""
    if chosen := os.environ.get("MORPHOSCOPE_CACHE"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "morphoscope", "kernels")
    except RuntimeError as error:
        raise _unwritable("this user has no home folder") from error


def built(
    kind: str, key: Mapping[str, str], suffix: str, build: Callable[[Path], None]
) -> tuple[Path, float]:
    """The file that `build` makes for `key`: from the cache, or built now; (path, seconds of its build).

    Any number of processes may ask at once: one builds, the others wait for it. If its build fails they fail
    with the same error instead of building in turn; a later call tries again.

    Args:
        kind: what is built, for its name and for messages ("cpu").
        key: all that the result depends on: digest of the sources, compiler, flags, architecture.
        build: writes the finished file to the path it is given.

    Raises:
        Unavailable: `build` raised it, here or in the process that was waited for; or the cache folder cannot
            be written.
    """
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()
    path = cache_folder() / f"{kind}-{digest[:16]}{suffix}"
    seconds = _verified(path)
    if seconds is not None:  # needs no lock: files are renamed into place, and a read-only cache serves too
        return path, seconds
    with _locked(path) as failure:
        seconds = _verified(path)  # built while we waited
        if seconds is None:
            seconds = _build(kind, key, path, build, failure)
    return path, seconds


def _build(
    kind: str, key: Mapping[str, str], path: Path, build: Callable[[Path], None], failure: IO[str]
) -> float:
    for orphan in path.parent.glob(
        f".{path.stem}.*"
    ):  # ours alone while we hold the lock: of a killed holder
        orphan.unlink(missing_ok=True)
    log.info("Building the %s kernels, once for this machine …", kind)
    started = time.perf_counter()
    try:
        with write_atomically(path) as temporary:
            build(temporary)
            size, digest = temporary.stat().st_size, _sha256(temporary)
        seconds = time.perf_counter() - started
        sidecar = {"kind": kind, "key": dict(key), "seconds": seconds, "time": time.time()}
        # Written last: a kernel without its sidecar, or with an older one, does not count.
        write_text(_sidecar(path), json.dumps(sidecar | {"size": size, "sha256": digest}, indent=1))
    except Unavailable as error:
        json.dump({"reason": error.reason, "remedy": error.remedy}, failure)
        raise
    except UserError as error:
        raise _unwritable(str(error)) from error
    return seconds


def _verified(path: Path) -> float | None:
    """The seconds that the build of a whole file took; None for an absent or damaged one."""
    try:
        sidecar: dict[str, Any] = json.loads(_sidecar(path).read_text(encoding="utf-8"))
        if path.stat().st_size == sidecar["size"] and _sha256(path) == sidecar["sha256"]:
            return float(sidecar["seconds"])
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        pass
    log.warning("%s is damaged and built anew.", path)
    return None


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """Hold the lock of one build; yields a file that takes the failure which those who wait shall see.

    The operating system releases a flock when its holder dies, however it dies, so no stale lock can remain.
    NFS: Linux turns it into a lock on the server, so nodes that share a home folder wait for each other too;
    where the mount keeps locks local (local_lock), two nodes may build at once, and each renames a whole file
    into place.
    """
    import fcntl  # absent on Windows, where nothing is built

    lock = path.with_suffix(".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+", encoding="utf-8")
    except OSError as error:
        raise _unwritable(f"{lock.parent}: {error.strerror}") from error
    with file:
        earlier = _stamp(file)
        started, told = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in {errno.EWOULDBLOCK, errno.EACCES, errno.EINTR}:
                    raise _unwritable(f"{lock}: cannot be locked ({error.strerror})") from error
            if not told and time.monotonic() - started > _PATIENCE:
                log.info("Waiting for another process that builds the same kernels (%s) …", lock)
                told = True
            time.sleep(_POLL)
        try:
            if _stamp(file) != earlier and (text := lock.read_text(encoding="utf-8")):
                raise Unavailable(**json.loads(text))  # of the process that we waited for
            file.truncate(0)
            yield file
        finally:
            file.flush()
            fcntl.flock(file, fcntl.LOCK_UN)  # said outright: a forked child may share the open file


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
        "set MORPHOSCOPE_CACHE to a folder that you may write",
    )
