"""Run folders: where a command leaves its resolved config, its numbers and its results."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from morphoscope.configs import UserError
from morphoscope.configs.loading import Config
from morphoscope.runtime.files import write_text


class RunFolder:
    """A folder with `config.yaml` (as resolved), `stats.jsonl` (one JSON object a line) and results."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.path}: the run folder cannot be made ({error.strerror}).") from error

    @classmethod
    def numbered(cls, parent: Path, name: str) -> "RunFolder":
        """Make `parent/00000-name`, with the first number that is free."""
        taken = [
            int(match[1]) for entry in Path(parent).glob("*") if (match := re.match(r"(\d{5})-", entry.name))
        ]
        return cls(Path(parent) / f"{max(taken, default=-1) + 1:05d}-{name}")

    def remove_if_empty(self) -> None:
        """Take the folder away again, if nothing has been written into it."""
        with suppress(OSError):  # not empty, or a folder that cannot go: ".", a link, a mount point
            self.path.rmdir()

    def write_config(self, config: Config, *, name: str = "config.yaml", **extra: Any) -> None:
        """Write the resolved config, with `extra` facts (command, seed, device …) as comments above it."""
        # Facts stay on their line: a line break in one would put its rest into the config.
        head = "".join(f"# {key}: {' '.join(str(value).split())}\n" for key, value in extra.items())
        write_text(self.path / name, head + yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def append(self, name: str, **values: Any) -> None:
        """Append one line to a file of JSON lines, e.g. stats.jsonl.

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
        """Drop lines of the files of JSON lines whose `key` lies beyond `last`, and half-written ones.

        A killed run may have logged more than its newest state knows; going on from there, it logs it again.
        With `only`, whole lines that do not say these values stay.
        """
        for path in self.path.glob("*.jsonl"):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if _stays(line, key, last, only)]
            if kept != lines:
                write_text(path, "".join(kept))


def _stays(line: str, key: str, last: float, only: dict[str, Any]) -> bool:
    try:
        said = json.loads(line)
        elsewhere = any(said.get(name) != value for name, value in only.items())
        return line.endswith("\n") and (elsewhere or float(said[key]) <= last)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
