"""Arrays computed from images and kept beside them, read again only if they are what was stored.

A cohort may come from elsewhere with its cache. Each file ends with the digest of what precedes it, which
shows damage and careless replacement. Whoever writes the digest too is found out by `resizing`, which
compares a sample with the images. Nothing is read or written through a link.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from morphoscope.configs import UserError
from morphoscope.configs.user_files import open_regular
from morphoscope.runtime import write_atomically
from morphoscope.runtime.files import final_name

_BLOCK = 2**20
_ABANDONED = 86_400  # seconds; no array takes that long, and several processes may share a folder

log = logging.getLogger(__name__)


def can_store(folder: Path) -> bool:
    """Whether arrays can be stored in the cache folder; if not, a warning says why."""
    if folder.is_symlink():
        log.warning("%s is a link, which is not followed: arrays are kept in memory only.", folder)
        return False
    if os.access(folder if folder.exists() else folder.parent, os.W_OK):
        return True
    log.warning("%s cannot be written: arrays are kept in memory only.", folder)
    return False


@contextmanager
def new_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> Iterator[np.ndarray]:
    """Yield an array on disk to be filled; it appears at `path` when all went well.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    _remove_abandoned(path.parent)
    with write_atomically(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        yield array
        array.flush()
        digest = _digest(temporary, temporary.stat().st_size)
        with temporary.open("ab") as file:
            file.write(digest)


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of writers that were killed, once they are a day old."""
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            old = time.time() - path.lstat().st_mtime > _ABANDONED
            if old and final_name(path.name) is not None:
                path.unlink()
        except OSError as error:  # another process was faster, or may not
            log.debug("%s: not removed (%s)", path, error)


def stored_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray | None:
    """The array at `path`, memory-mapped read-only.

    Returns:
        None if there is no file, or (with a warning) one that is damaged, replaced, of another shape or type,
        or behind a link.
    """
    if path.parent.is_symlink() or not os.path.lexists(path):
        return None
    try:
        with open_regular(path, follow_links=False) as file:
            size = max(0, os.fstat(file.fileno()).st_size - hashlib.sha256().digest_size)
            file.seek(size)
            recorded = file.read()
        array = np.lib.format.open_memmap(path, mode="r")  # never unpickles
        if _digest(path, size) == recorded and array.shape == shape and array.dtype == dtype:
            return array
        log.warning(
            "%s is damaged, was replaced or comes from an earlier version; it is computed again.", path
        )
    except (OSError, ValueError, EOFError) as error:  # a UserError is a ValueError
        log.warning("%s is damaged (%s); it is computed again.", path, error)
    return None


def _digest(path: Path, size: int) -> bytes:
    """SHA-256 of the first `size` bytes of a file."""
    digest = hashlib.sha256()
    with open_regular(path, follow_links=False) as file:
        try:
            while size > 0 and (block := file.read(min(_BLOCK, size))):
                digest.update(block)
                size -= len(block)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    return digest.digest()
