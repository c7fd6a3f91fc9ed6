"""What is executed must not be open to others: ownership and permissions are checked, as ssh checks its keys.

A folder of built kernels is used only if it, and each folder on the way to it, belongs to this user or to the
administrator and cannot be written by others. Whoever may write there could replace a kernel, and with it the
digest that stands beside it. Once a way has been found safe, nobody else can change it.
"""

import os
import stat
from pathlib import Path

from morphoscope.ops.native.toolchain import Unavailable

_MAX_LINKS = 40  # as many as Linux follows
_ADMINISTRATOR = 0


def require_private(folder: Path) -> None:
    """Check a folder and the way to it; what is missing is created with mode 0700.

    Links on the way are followed if nobody else can have made them. A folder on the way may be open to all if
    it is sticky, as /tmp is: what lies in it can be replaced by its owner only.

    Raises:
        Unavailable: someone else can write there; the message names the folder and what to do.
        OSError: the folder cannot be created or read.
    """
    folder = folder.absolute()
    here, remaining = Path(folder.anchor), list(reversed(folder.parts[1:]))
    links = 0
    while remaining:
        step = here / remaining.pop()
        status = _status(step)
        link = stat.S_ISLNK(status.st_mode)
        if found := objection(status, on_the_way=bool(remaining) or link):
            raise _refused(step, found)
        if not link:
            here = step.parent.parent if step.name == ".." else step
            continue
        links += 1
        if links > _MAX_LINKS:
            raise _refused(folder, "leads through a circle of links")
        target = step.readlink()
        here = Path(target.anchor) if target.is_absolute() else here
        remaining += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def open_private(path: Path) -> int:
    """Open a file of a private folder for reading, without following a link: the descriptor.

    Raises:
        Unavailable: it is not a regular file, or someone else can write it.
        OSError: it is missing or cannot be read.
    """
    if path.is_symlink():
        raise _refused(path, "is a link")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    found = objection(status) if stat.S_ISREG(status.st_mode) else "is not a regular file"
    if found:
        os.close(descriptor)
        raise _refused(path, found)
    return descriptor


def objection(status: os.stat_result, *, on_the_way: bool = False) -> str | None:
    """Why a file or folder is not this user's alone; None if it is.

    Args:
        status: without following links.
        on_the_way: a folder or link through which the way to the private folder leads.
    """
    trusted = status.st_uid in (os.geteuid(), _ADMINISTRATOR)
    if not trusted and not (on_the_way and status.st_uid == _unmapped_owner()):
        return f"belongs to another user (number {status.st_uid})"
    open_to_others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(status.st_mode)
    if open_to_others and not (on_the_way and status.st_mode & stat.S_ISVTX):
        return "can be written by other users"
    return None


def _unmapped_owner() -> int | None:
    """In a container with its own user numbers, the number under which the system's folders appear.

    There (Apptainer, for example) the administrator of the machine has no number, and / belongs to "nobody".
    """
    try:
        first, _, count = Path("/proc/self/uid_map").read_text().split()[:3]
        the_machines_own = (first, count) == ("0", str(2**32 - 1))
        return None if the_machines_own else int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return None


def _status(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except FileNotFoundError:
        path.mkdir(0o700, exist_ok=True)  # another process may be faster
        return path.lstat()


def _refused(path: Path, found: str) -> Unavailable:
    return Unavailable(
        f"kernels are not loaded from a place where others could replace them: {path} {found}",
        f"run `chmod -R go-w {path}` if all of it is yours, or set MORPHOSCOPE_CACHE to a folder of your own",
    )
