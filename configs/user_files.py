"""Files that a user names or that lie in a user's folder: opened only if regular, read up to a limit.

A named pipe without a writer blocks whoever opens it for ever, and a device such as /dev/zero has no end.
Everything that a user can replace is opened here. (It stands in this room because settings are read from
files, too.)
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

from morphoscope.configs.errors import UserError

# Windows has no named pipes among its files, but translates line ends unless it is told not to.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path, name: str | None = None, *, follow_links: bool = True) -> BufferedReader:
    """Open a file for reading in binary, without waiting for anything.

    Args:
        name: of the file in error messages (default: the path).
        follow_links: if False, a symbolic link is refused; links in its folders are followed.

    Raises:
        UserError: there is no such file, it is a folder, named pipe, socket or device, or cannot be opened.
    """
    name = name or str(path)
    try:
        handle = os.open(path, _FLAGS if follow_links else _FLAGS | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError as error:
        raise UserError(f"{name}: no such file.") from error
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}).") from error
    except ValueError as error:  # a NUL
        raise UserError(f"{name!r}: not the name of a file ({error}).") from error
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        raise UserError(f"{name}: {_KINDS.get(kind, 'something else')}, not a file; give the path of a file.")
    return os.fdopen(handle, "rb")


def require_regular(path: Path, name: str | None = None) -> None:
    """Raise UserError, as `open_regular` does, for what a library that takes only paths may not open."""
    open_regular(path, name).close()


def read_regular(path: Path, max_bytes: int, name: str | None = None, *, follow_links: bool = True) -> bytes:
    """Read a whole file of at most `max_bytes`.

    Raises:
        UserError: as for `open_regular`, or the file is larger.
    """
    name = name or str(path)
    with open_regular(path, name, follow_links=follow_links) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            data = file.read(max_bytes + 1) if size <= max_bytes else b""
        except OSError as error:
            raise UserError(f"{name}: cannot be read ({error.strerror}).") from error
    if max(size, len(data)) > max_bytes:  # a file may grow while it is read
        raise UserError(f"{name}: larger than {limit_text(max_bytes)}; refused.")
    return data


def limit_text(max_bytes: int) -> str:
    """A limit as a message says it: "512 MiB", or "1000000 bytes"."""
    return f"{max_bytes // 2**20} MiB" if max_bytes % 2**20 == 0 else f"{max_bytes} bytes"
