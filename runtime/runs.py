"""Run folders: where a command writes its resolved config, its numbers and its results."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from morphoscope.configs import UserError
from morphoscope.configs.schema import Config
from morphoscope.runtime.files import write_text
from morphoscope.runtime.terminal import visible


class RunFolder:
    """A folder with `config.yaml` (as resolved), `stats.jsonl` (one JSON object per line) and results.

    Attributes:
        path: the folder; it exists.
    """

    def __init__(self, path: Path) -> None:
        """Create the folder, or use the one that is there.

        Raises:
            UserError: the folder cannot be created.
        """
        self.path = Path(path)
        _create(self.path, exist_ok=True)

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

    def remove_if_empty(self) -> None:
        """Remove the folder if nothing has been written into it."""
        with suppress(OSError):  # not empty, or a folder that cannot be removed: ".", a link, a mount point
            self.path.rmdir()

    def write_config(self, config: Config, *, name: str = "config.yaml", **extra: Any) -> None:
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
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}).") from error

    def forget_after(self, key: str, last: float, **only: Any) -> None:
        """Remove the lines of all JSON Lines files whose `key` exceeds `last`, and incomplete lines.

        A killed run may have logged more than its last saved state contains; when it resumes, it logs
        the same again.

        Args:
            only: if given, complete lines without these values stay.

        Raises:
            UserError: a file cannot be written or the disk is full.
        """
        for path in self.path.glob("*.jsonl"):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if _is_kept(line, key, last, only)]
            if kept != lines:
                write_text(path, "".join(kept))


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
