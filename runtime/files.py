"""Files that are either complete or absent, also after a kill or a power failure."""

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from morphoscope.configs import UserError
from morphoscope.configs.user_files import open_regular

_TEMPORARY = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]{16}(?P<suffix>\.[^.]+)?", re.DOTALL)
_observers: list[Callable[[Path], None]] = []


@contextmanager
def write_atomically(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced to disk and renamed to `path`.

    The file's mode is `mode` less the umask. After an error the temporary file is removed, and a file that
    was at `path` before is unchanged. After a power failure there is the old file or the new one.

    Raises:
        UserError: the folder cannot be written or the disk is full; the message names `path`.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        _make_folder(path.parent)
        for observer in _observers:
            observer(path)
        candidate = path.parent / temporary_name(path)
        mode = _create(candidate, mode)
        temporary = candidate
        yield temporary
        temporary.chmod(mode)  # some writers replace it with a private file
        sync(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a UTF-8 text file atomically; `mode` and errors as for `write_atomically`."""
    with write_atomically(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def observed_writes(observer: Callable[[Path], None]) -> Iterator[None]:
    """Within this context, call `observer` with the path of every file that is about to be written.

    It is called before a temporary file exists, so that what it records also covers a killed writer.
    """
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def temporary_name(path: Path) -> str:
    """A random hidden name for what will be `path`, with its suffix: writers choose the format by it."""
    return f".{path.stem}.{secrets.token_hex(8)}{path.suffix}"


def final_name(temporary: str) -> str | None:
    """The name that a file called `temporary` would have got; None if `temporary_name` never gives that."""
    match = _TEMPORARY.fullmatch(temporary)
    return None if match is None else match["stem"] + (match["suffix"] or "")


def remove_temporaries(folder: Path, names: Collection[str] | None = None) -> None:
    """Remove what killed writers left in a folder; only for whoever keeps other writers out.

    Args:
        names: of the files that they were writing; of any file if None.
    """
    for path in folder.iterdir():
        final = final_name(path.name)
        if final is not None and (names is None or final in names) and is_plain_file(path):
            path.unlink(missing_ok=True)


def is_plain_file(path: Path) -> bool:
    """Whether this is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(path.stat(follow_symlinks=False).st_mode)
    except (OSError, ValueError):  # ValueError: a name with a NUL
        return False


def sync(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until a folder's list of files is on the disk, where the file system can do that."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _make_folder(path: Path) -> None:
    """Create a folder and its parents; those that are new last, too."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def _create(path: Path, mode: int) -> int:
    """Create an empty file; returns its mode, which is `mode` less the umask."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal digits."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
