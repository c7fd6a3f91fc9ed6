"""The files that the run in a folder has written: the only ones that it may ever remove."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime.files import is_plain_file, remove_temporaries

_MOST_BYTES = 256 * 2**20


class OwnFiles:
    """A list of file names in the records of a run folder, one JSON string per line.

    A name is added before the file is written, so that the list is complete after a kill.

    Args:
        run: the run folder.
        listing: the file that holds the list.
    """

    def __init__(self, run: Path, listing: Path) -> None:
        self._run = _absolute(run)
        self._listing = listing
        self._names: dict[str, None] = dict.fromkeys(self._read())

    @property
    def names(self) -> list[str]:
        """Relative to the run folder, with forward slashes, in the order in which they were first written."""
        return list(self._names)

    def add(self, path: Path) -> None:
        """Record that the run is about to write `path`; one outside the run folder is not recorded.

        Raises:
            UserError: the list cannot be written.
        """
        absolute = _absolute(path)
        if not absolute.is_relative_to(self._run) or absolute == self._run:
            return
        name = absolute.relative_to(self._run).as_posix()
        if name in self._names or absolute.parent == _absolute(self._listing.parent):
            return
        try:
            with self._listing.open("a", encoding="ascii") as file:
                file.write(json.dumps(name) + "\n")
        except OSError as error:
            raise UserError(f"{self._listing}: cannot be written ({error.strerror}).") from error
        self._names[name] = None

    def add_tree(self, folder: Path) -> None:
        """Record the files that another library has written into a subfolder which only the run uses."""
        for parent, _, files in os.walk(folder):
            for name in files:
                self.add(Path(parent, name))

    def remove_leftovers(self) -> None:
        """Remove the temporary files that a killed process left beside the files it was writing.

        Only for the process that holds the run folder's lock.
        """
        owned: dict[str, set[str]] = {}
        for name in self._names:
            folder, _, file = name.rpartition("/")
            owned.setdefault(folder, set()).add(file)
        for folder, files in owned.items():
            if self._is_inside(folder):
                remove_temporaries(self._run / folder, files)
        remove_temporaries(self._listing.parent)

    def clear(self) -> list[str]:
        """Remove the files of the list, and the folders that are then empty; returns the names removed.

        Links, and what is reached through a link within the run folder, stay.
        """
        removed = []
        for name in self._names:
            folder = name.rpartition("/")[0]
            if self._is_inside(folder) and is_plain_file(self._run / name):
                (self._run / name).unlink()
                removed.append(name)
        folders = {parent for name in removed for parent in Path(name).parents if parent != Path()}
        for parent in sorted(folders, key=lambda one: len(one.parts), reverse=True):
            path = self._run / parent
            if not any(path.iterdir()):
                path.rmdir()
        self._listing.unlink(missing_ok=True)
        self._names = {}
        return removed

    def _is_inside(self, folder: str) -> bool:
        """Whether this is a folder of the run folder, or itself (""), and not reached through a link."""
        path = self._run
        for part in folder.split("/") if folder else ():
            path /= part
            if part in {"", ".", ".."} or path.is_symlink() or not path.is_dir():
                return False
        return True

    def _read(self) -> Iterator[str]:
        if not self._listing.exists():
            return
        text = read_regular(self._listing, _MOST_BYTES).decode("ascii", errors="replace")
        if text and not text.endswith("\n"):  # a killed process; the next name must not continue its line
            with self._listing.open("a", encoding="ascii") as file:
                file.write("\n")
        for line in text.splitlines():
            try:
                name = json.loads(line)
            except ValueError:
                continue
            if isinstance(name, str) and name.rpartition("/")[2] not in {"", ".", ".."}:
                yield name


def _absolute(path: Path) -> Path:
    """Without "..", and with links as they are: a name in the list is below the run folder."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (`resolve` would follow links)
