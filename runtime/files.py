"""Files that are either complete or absent."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morphoscope.configs import UserError


@contextmanager
def write_atomically(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed to `path`.

    The file's mode is `mode` less the umask. After an error the temporary file is removed, and a file that
    was at `path` before is unchanged.

    Raises:
        UserError: the folder cannot be written or the disk is full; the message names `path`.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keep the suffix: writers of images and archives choose the format by it.
        candidate = path.parent / f".{path.stem}.{secrets.token_hex(8)}{path.suffix}"
        mode = _create(candidate, mode)
        temporary = candidate
        yield temporary
        temporary.chmod(mode)  # some writers replace it with a private file
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _create(path: Path, mode: int) -> int:
    """Create an empty file; returns its mode, which is `mode` less the umask."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def write_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a UTF-8 text file atomically; `mode` and errors as for `write_atomically`."""
    with write_atomically(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8")
