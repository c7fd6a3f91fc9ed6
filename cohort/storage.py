"""Where the files of a cohort are stored: a folder or a zip file, read through paths that cannot leave it."""

import hashlib
import lzma
import os
import re
import shutil
import struct
import sys
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from morphoscope.cohort.reading import MAX_FILE_BYTES
from morphoscope.configs import UserError, arguments, first_names
from morphoscope.configs.user_files import limit_text, open_regular, read_regular
from morphoscope.runtime.files import (
    final_name,
    remove_temporaries,
    sync,
    sync_folder,
    temporary_name,
    write_atomically,
)
from morphoscope.runtime.run_lock import flock

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
_UNDECODABLE = re.compile(r"[\ud800-\udfff]")  # what Python has for bytes of a name that it cannot decode
_UTF8 = sys.getfilesystemencoding().lower() == "utf-8"
_ZIP_UTF8 = 0x800  # flag of a zip's member
# What Python's zipfile raises for damaged directories; a name that is not the UTF-8 that it claims to be is a
# ValueError.
_NO_ZIP = (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, struct.error)
_MAX_MEMBERS = 2_000_000
_MAX_ZIP_BYTES = 2**40  # of all members together, unpacked


def unsafe_reason(name: str) -> str | None:
    """Why `name` is not a relative path within its folder (with forward slashes); None if it is one."""
    if not name:
        return "empty path"
    if re.search(r"[\x00-\x1f\\]", name):
        return "backslash or control character in the path"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "absolute path"
    if ".." in PurePosixPath(name).parts:
        return "path leads out of its folder"
    return None


def unwritable_reason(name: str) -> str | None:
    """Why a file of this name cannot be written here, or not be listed in a manifest; None if it can."""
    locale = (
        f"this system's encoding of file names ({sys.getfilesystemencoding()}) lacks some of its characters; "
        "run the command with the environment variable PYTHONUTF8=1"
    )
    if _UNDECODABLE.search(name):
        return "the name is not valid UTF-8; rename the file" if _UTF8 else locale
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return locale
    return None


class Store(ABC):
    """Files by relative name, with forward slashes. Hidden files (".cache", "__MACOSX") are not listed."""

    def __init__(self, location: Path) -> None:
        self.location = location
        self._digests: dict[str, str] = {}

    @abstractmethod
    def names(self) -> list[str]:
        """All files, sorted."""

    def images(self) -> list[str]:
        """The files whose suffix is that of an image format, sorted."""
        return [name for name in self.names() if name.lower().endswith(IMAGE_SUFFIXES)]

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether the file exists; False for a path that leads out."""

    @abstractmethod
    def read(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """The bytes of a file; UserError if it is absent, too large, damaged, or the path leads out."""

    def sha256(self, name: str) -> str:
        """Hex digest of a file's bytes; computed once."""
        if name not in self._digests:
            self._digests[name] = hashlib.sha256(self.read(name)).hexdigest()
        return self._digests[name]


class FolderStore(Store):
    """A folder; symbolic links that lead out of it are refused."""

    def names(self) -> list[str]:
        found = []
        for folder, subfolders, files in os.walk(self.location):
            subfolders[:] = [name for name in subfolders if not _is_hidden(name)]
            relative = Path(folder).relative_to(self.location)
            found += [(relative / name).as_posix() for name in files if not _is_hidden(name)]
        return sorted(found)

    def has(self, name: str) -> bool:
        if unsafe_reason(name) is not None or unwritable_reason(name) is not None:
            return False
        try:
            return (self.location / name).is_file()
        except OSError:  # a name that is too long for any file
            return False

    def read(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        _refuse_unsafe(name, self.location)
        if (reason := unwritable_reason(name)) is not None:
            raise UserError(f"{name!r}: {reason}.")
        path = self.location / name
        # Not Path.resolve, which raises for links that lead to each other.
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.location)):
            raise UserError(f"{name}: a link to outside {self.location}; copy the file into the folder.")
        return read_regular(path, max_bytes, name)


class ZipStore(Store):
    """A zip file, read in place; refused as a whole if the path of a member leads out of the folder."""

    def __init__(self, location: Path) -> None:
        super().__init__(location)
        file = open_regular(location)  # stays open as long as the store is in use
        try:
            self._zip = zipfile.ZipFile(file)
        except _NO_ZIP as error:
            file.close()
            raise UserError(f"{location}: not a readable zip file ({error}).") from error
        members = [info for info in self._zip.infolist() if not info.filename.endswith("/")]
        if len(members) > _MAX_MEMBERS or sum(info.file_size for info in members) > _MAX_ZIP_BYTES:
            raise UserError(f"{location}: more than {_MAX_MEMBERS} files or 1 TiB unpacked; refused.")
        self._members = {_member_name(info): info for info in members}
        for name in self._members:
            _refuse_unsafe(name, location)
        if len(self._members) < len(members):
            twice = [name for name, count in Counter(map(_member_name, members)).items() if count > 1]
            raise UserError(
                f"{location}: more than one file is named {first_names(twice)}; zip the folder again."
            )

    def names(self) -> list[str]:
        return sorted(name for name in self._members if not any(_is_hidden(part) for part in name.split("/")))

    def has(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        info = self._members.get(name)
        if info is None:
            raise UserError(f"{name}: no such file in {self.location}.")
        if info.file_size > max_bytes:
            raise UserError(f"{name}: larger than {limit_text(max_bytes)}; refused.")
        try:
            return self._zip.read(info)
        except (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
            raise UserError(f"{name}: damaged in {self.location} ({error}).") from error
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or a compression that Python lacks
            raise UserError(f"{name}: cannot be unpacked from {self.location} ({error}).") from error


class JoinedStore(Store):
    """Several stores as one, each in a folder of its own; `location` is where the files are copied to."""

    def __init__(self, location: Path, parts: Mapping[str, Store]) -> None:
        super().__init__(location)
        self._parts = dict(parts)

    def names(self) -> list[str]:
        return sorted(f"{folder}/{name}" for folder, part in self._parts.items() for name in part.names())

    def has(self, name: str) -> bool:
        folder, _, inner = name.partition("/")
        return folder in self._parts and self._parts[folder].has(inner)

    def read(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        folder, _, inner = name.partition("/")
        try:
            return self._parts[folder].read(inner, max_bytes)
        except UserError as error:
            raise UserError(f"{folder}/{error}") from error


def open_store(path: Path) -> Store:
    """A folder or a zip file as a Store; UserError if it is neither."""
    path = arguments.path("A cohort", path, "the path of a folder or zip file")
    if path.is_dir():
        return FolderStore(path)
    if not path.exists():
        raise UserError(f"{path}: no such folder or zip file.")
    return ZipStore(path)


def require_new(path: Path) -> None:
    """UserError if `path` exists and is not an empty folder; a .zip file must not exist at all."""
    is_empty = path.suffix.lower() != ".zip" and path.is_dir() and not any(path.iterdir())
    if path.exists() and not is_empty:
        raise UserError(f"{path}: already exists; choose another name or delete it first.")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it is renamed to `path` on success and removed after any error.

    On success everything is on the disk. What a killed process has left of the same folder is removed.

    Raises:
        UserError: `path` exists and is not an empty folder, or cannot be written.
    """
    path = arguments.path("destination", path)
    require_new(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        temporary, lock = _locked_folder(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}).") from error
    try:
        yield temporary
        _sync_tree(temporary)
        if path.exists():
            path.rmdir()
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@contextmanager
def new_files(path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Yield a function that writes a file by its name into a new folder, or into an uncompressed .zip.

    Raises:
        UserError: as `new_folder`.
    """
    if path.suffix.lower() != ".zip":
        with new_folder(path) as folder:
            yield lambda name, data: _write_inside(folder, name, data)
        return
    require_new(path)
    with (
        write_atomically(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        yield lambda name, data: archive.writestr(zipfile.ZipInfo(name), data)


def _write_inside(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def _locked_folder(path: Path) -> tuple[Path, int | None]:
    """A new temporary folder for `path`, and the open lock on it, where the system has such locks."""
    while True:
        temporary = path.parent / temporary_name(path)
        temporary.mkdir()  # with the mode of the umask, unlike Python's temporary folders
        try:
            lock = os.open(temporary, os.O_RDONLY)
        except FileNotFoundError:
            continue
        except PermissionError:  # Windows opens no folders
            return temporary, None
        if flock(lock) is not False and temporary.exists():
            return temporary, lock
        os.close(lock)  # another process took the folder for an abandoned one


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary folders for `path` whose process is gone: nobody locks them."""
    for folder in path.parent.iterdir():
        if final_name(folder.name) == path.name and not folder.is_symlink() and folder.is_dir():
            with _lock_if_free(folder) as is_locked:
                if is_locked:
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def without_leftovers(folder: Path, names: Collection[str]) -> Iterator[None]:
    """Remove what killed writers of these files left in `folder`, unless another process is writing now."""
    with _lock_if_free(folder) as is_locked:
        if is_locked:
            remove_temporaries(folder, names)
        yield


@contextmanager
def _lock_if_free(folder: Path) -> Iterator[bool]:
    """Lock a folder; yields whether that was possible."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # it is gone, or the system opens no folders
        yield False
        return
    try:
        yield flock(handle) is True
    finally:
        os.close(handle)


def _sync_tree(folder: Path) -> None:
    """Wait until the files in a folder, and its list of files, are on the disk."""
    for parent, _, files in os.walk(folder):
        for name in files:
            sync(Path(parent, name))
        sync_folder(Path(parent))


def _refuse_unsafe(name: str, location: Path) -> None:
    reason = unsafe_reason(name)
    if reason is not None:
        raise UserError(f"{name!r} in {location}: {reason}; refused.")


def _member_name(info: zipfile.ZipInfo) -> str:
    """The name of a zip's member; some programs write UTF-8 without the flag that says so."""
    if info.flag_bits & _ZIP_UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
