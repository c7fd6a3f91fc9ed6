"""Run folders: where a command writes its resolved config, numbers and results; each holds one run."""

import json
import logging
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from morphoscope.configs import UserError, first_names
from morphoscope.configs.schema import Config
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime.files import observed_writes, write_text
from morphoscope.runtime.own_files import OwnFiles
from morphoscope.runtime.run_lock import RunLock
from morphoscope.runtime.run_requests import Request
from morphoscope.runtime.terminal import visible

log = logging.getLogger(__name__)

RECORDS = ".run"
"""Subfolder of a run folder with its lock, the run's request, and the list of the files that it wrote."""

CONFIG = "config.yaml"

_RUN = "--run"
_REQUEST = "request.json"
_SHOWN_CHANGES = 8
MOST_LOG_BYTES = 256 * 2**20  # a line has about 500 bytes
_MOST_BYTES = 64 * 2**20  # of a request, which describes each image of a cohort in 24 bytes


class RunFolder:
    """A folder with `config.yaml` (as resolved), `stats.jsonl` (one JSON object per line) and results.

    A command first holds the folder, which no other process then can, and claims it for its run:

        with run.held():
            run.claim(Request(settings, inputs))

    Attributes:
        path: the folder; it exists.
    """

    def __init__(self, path: Path, argument: str = _RUN) -> None:
        """Create the folder, or use the one that is there.

        Args:
            argument: of the command, which the folder was given as; messages name it.

        Raises:
            UserError: the folder cannot be created.
        """
        self.path = Path(path)
        self._argument = argument
        self._own: OwnFiles | None = None
        self._is_new = False
        _create(self.path, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out, and record every file that is written into the folder.

        Temporary files of a predecessor that was killed are removed. If the work fails before a new run has
        written more than its config, no trace of it is left.

        Raises:
            UserError: another process holds the folder, or it cannot be written.
        """
        records = self.path / RECORDS
        if records.is_symlink():
            raise UserError(f"{records}: is a link; choose another run folder.")
        _create(self.path, exist_ok=True)
        lock = RunLock(records)
        lock.acquire()
        try:
            self._is_new = False
            self._own = own = OwnFiles(self.path, records / "files.jsonl")
            own.remove_leftovers()
            with observed_writes(own.add):
                yield
        except BaseException:
            if self._is_new and set(own.names) <= {CONFIG}:
                self._forget(own)
            raise
        finally:
            self._own = None
            if self._has_records():
                lock.release()
            else:
                lock.remove()
                lock.release()
                self.remove_if_empty()

    def claim(
        self, request: Request, *, overwrite: bool = False, earlier: Mapping[str, Any] | None = None
    ) -> bool:
        """Record that this folder is for one run; the same run resumes or is repeated. Call it within `held`.

        Args:
            overwrite: remove the files of a run with other settings or inputs, instead of refusing.
            earlier: what a run of an earlier version, which left no record, was asked for, as
                `Request.as_json` gives it.

        Returns:
            Whether files of another run were removed.

        Raises:
            UserError: the folder is another run's, or holds files of unknown origin.
        """
        assert self._own is not None, "claim a run folder only while it is held"
        recorded = recorded_request(self.path)
        before = earlier or recorded
        if before is None:
            self._require_no_strangers()
            self._is_new = True
        changes = [] if before is None else request.changes_since(before)
        if changes and (recorded is None or not overwrite):
            raise UserError(_refusal(self.path, changes, recorded is not None, self._argument))
        if changes:
            self._clear(self._own)
        content = request.as_json()
        if content != recorded:
            write_text(self.path / RECORDS / _REQUEST, json.dumps(content) + "\n")
        return bool(changes)

    def forget(self) -> None:
        """Remove all that the run has written, and the record of it. Call it within `held`."""
        assert self._own is not None, "forget a run only while its folder is held"
        self._forget(self._own)

    def own(self, name: str) -> None:
        """Record that the run writes the file `name` or, for a folder, the files that are in it now.

        Only for files that `write_atomically` does not write. Without effect unless the folder is held.
        """
        if self._own is None:
            return
        path = self.path / name
        self._own.add_tree(path) if path.is_dir() else self._own.add(path)

    def _require_no_strangers(self) -> None:
        """Refuse visible files in a folder without a record of a run."""
        names = sorted(path.name for path in self.path.iterdir() if not path.name.startswith("."))
        if names:
            raise UserError(
                f"{self.path}: holds files, but no record of a run that wrote them ({first_names(names)}). "
                f"Choose a new or empty folder as {self._argument}."
            )

    def _clear(self, own: OwnFiles) -> None:
        removed = own.clear()
        if removed:
            what = "1 file" if len(removed) == 1 else f"{len(removed)} files"
            log.info("%s: removed %s of the earlier run: %s", self.path, what, first_names(removed))

    def _forget(self, own: OwnFiles) -> None:
        own.clear()
        (self.path / RECORDS / _REQUEST).unlink(missing_ok=True)
        for parent, folders, _ in os.walk(self.path, topdown=False):  # those of runs within this run
            for folder in folders:
                with suppress(OSError):  # not empty
                    Path(parent, folder).rmdir()

    def _has_records(self) -> bool:
        return any((self.path / RECORDS / name).exists() for name in (_REQUEST, "files.jsonl"))

    @classmethod
    def numbered(cls, parent: Path, name: str) -> "RunFolder":
        """Create `parent/00000-name`, with the number after the highest in `parent`.

        Processes that call this at the same time get a folder each.

        Raises:
            UserError: the folder cannot be created.
        """
        runs = cls(parent).path
        while True:
            found = (re.match(r"(\d{5})-", entry.name) for entry in runs.glob("*"))
            highest = max((int(match[1]) for match in found if match), default=-1)
            path = runs / f"{highest + 1:05d}-{name}"
            with suppress(FileExistsError):  # another process was faster: look again
                _create(path, exist_ok=False)
                return cls(path)

    @property
    def how_to_resume(self) -> str:
        """What to do after an interruption, in a sentence."""
        given = f" with {_RUN} {shlex.quote(str(self.path))}" if self._argument == _RUN else ""
        return f"Re-run the command{given} to resume."

    def remove_if_empty(self) -> None:
        """Remove the folder if nothing has been written into it."""
        with suppress(OSError):  # not empty, or a folder that cannot be removed: ".", a link, a mount point
            self.path.rmdir()

    def write_config(self, config: Config, *, name: str = CONFIG, **extra: Any) -> None:
        """Write the resolved config to the file `name`, below one comment line per item of `extra`.

        Args:
            extra: facts beside the config (command, seed, device …).

        Raises:
            UserError: the file cannot be written or the disk is full.
        """
        # A line break within a fact would put the rest of it into the config.
        head = "".join(f"# {key}: {visible(' '.join(str(value).split()))}\n" for key, value in extra.items())
        write_text(self.path / name, head + yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def append(self, name: str, **values: Any) -> None:
        """Append one line to a JSON Lines file, e.g. stats.jsonl.

        Raises:
            UserError: the file cannot be written or the disk is full.
        """
        path = self.path / name
        self.own(name)
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}).") from error

    def forget_after(self, key: str, last: float, *, files: str = "*.jsonl", **only: Any) -> None:
        """Remove the lines of JSON Lines files whose `key` exceeds `last`, and incomplete lines.

        A killed run may have logged more than its last saved state contains; when it resumes, it logs
        the same again.

        Args:
            files: pattern of their names.
            only: if given, complete lines without these values stay.

        Raises:
            UserError: a file is no regular file or cannot be read or written, or the disk is full.
        """
        for path in self.path.glob(files):
            text = read_regular(path, MOST_LOG_BYTES).decode(errors="replace")
            lines = text.splitlines(keepends=True)
            kept = [line for line in lines if _is_kept(line, key, last, only)]
            if kept != lines:
                write_text(path, "".join(kept))


def recorded_request(run: Path) -> dict[str, Any] | None:
    """What the run in a folder was asked for, as `Request.as_json` gives it; None if there is no record.

    Raises:
        UserError: the record is damaged, or cannot be read.
    """
    path = run / RECORDS / _REQUEST
    if not path.exists():
        return None
    content = read_regular(path, _MOST_BYTES)
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: the record of the run is damaged; choose another run folder.") from error


def check_request(run: Path, request: Request, earlier: Mapping[str, Any] | None = None) -> None:
    """UserError if `RunFolder.claim` would find another run; the folder need not exist."""
    recorded = recorded_request(run)
    before = earlier or recorded
    changes = [] if before is None else request.changes_since(before)
    if changes:
        raise UserError(_refusal(run, changes, recorded is not None))


def _refusal(run: Path, changes: Sequence[str], has_record: bool, argument: str = _RUN) -> str:
    listed = "; ".join(changes[:_SHOWN_CHANGES]) + ("; …" if len(changes) > _SHOWN_CHANGES else "")
    instead = ", or replace it with --overwrite" if has_record and argument == _RUN else ""
    return (
        f"{run}: this run folder holds another run ({listed}). Give the same settings and inputs to resume "
        f"or repeat that run, choose another {argument}{instead}."
    )


def _create(path: Path, *, exist_ok: bool) -> None:
    """Create a folder; FileExistsError only where it must not exist yet, any other failure is a UserError."""
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
    except OSError as error:
        if isinstance(error, FileExistsError) and not exist_ok:
            raise
        raise UserError(f"{path}: the run folder cannot be created ({error.strerror}).") from error


def _is_kept(line: str, key: str, last: float, only: dict[str, Any]) -> bool:
    try:
        values = json.loads(line)
        is_other = any(values.get(name) != value for name, value in only.items())
        return line.endswith("\n") and (is_other or float(values[key]) <= last)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
