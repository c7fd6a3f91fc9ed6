"""What a run was asked for: recorded in its folder, compared when a command gets that folder again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from morphoscope.configs import first_names
from morphoscope.configs.schema import Config, changed_settings
from morphoscope.configs.user_files import open_regular

_SHOWN = 60  # characters of a value


@runtime_checkable
class Described(Protocol):
    """An input that is more than one value, and that can say in words how it changed."""

    def as_json(self) -> Any:
        """What is recorded of it."""

    def changes_since(self, recorded: Any) -> list[str]:
        """What differs from what an earlier run recorded, in words; empty if nothing does."""


@dataclass(frozen=True)
class Request:
    """The settings and inputs of a run.

    Attributes:
        settings: their schema names the command.
        inputs: by name: JSON values or `Described`.
    """

    settings: Config
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What `changes_since` takes."""
        return {
            "command": self.settings.command,
            "settings": self.settings.model_dump(mode="json"),
            "inputs": {
                name: value.as_json() if isinstance(value, Described) else value
                for name, value in self.inputs.items()
            },
        }

    def changes_since(self, recorded: Mapping[str, Any]) -> list[str]:
        """How this differs from the request that an earlier run recorded, in words; empty if it is the same.

        Settings that may change when a run resumes do not count.
        """
        command = self.settings.command
        if recorded.get("command") != command:
            return [f"it is a run of `{recorded.get('command')}`, not of `{command}`"]
        settings = changed_settings(_mapping(recorded, "settings"), self.settings)
        changes = [
            f"{name}: {_short(was)} before, {_short(now)} now" for name, (was, now) in settings.items()
        ]
        inputs = _mapping(recorded, "inputs")
        for name, value in self.inputs.items():
            changes += _input_changes(name, inputs.get(name), value)
        return changes


class InputFiles:
    """A file, or the files of a folder, that a run reads: recorded by name and content."""

    def __init__(self, path: Path) -> None:
        self._path = Path(path)

    def __str__(self) -> str:
        return str(self._path)

    def as_json(self) -> dict[str, Any]:
        """Name, number of files, digest of their names and contents; UserError if one cannot be read."""
        files = [self._path]
        if self._path.is_dir():
            files = sorted(path for path in self._path.rglob("*") if path.is_file())
        whole = hashlib.sha256()
        for path in files:
            with open_regular(path) as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            name = path.relative_to(self._path).as_posix()
            whole.update(json.dumps([name, content]).encode())
        return {"name": self._path.name, "files": len(files), "digest": whole.hexdigest()[:16]}

    def changes_since(self, recorded: Any) -> list[str]:
        """See `Described`."""
        now = self.as_json()
        before = recorded if isinstance(recorded, Mapping) else {}
        if before.get("digest") == now["digest"]:
            return []
        if before.get("name") != now["name"]:
            return [f"it is {now['name']} instead of {before.get('name')}"]
        return [f"{now['name']} has another content"]


def _input_changes(name: str, before: Any, value: Any) -> list[str]:
    title = name.replace("_", " ")
    if isinstance(value, Described):
        if before is None:
            return [f"{title}: none before"]
        return [f"{title}: {change}" for change in value.changes_since(before)]
    if before == value:
        return []
    return [f"{title}: {_short(before)} before, {_short(value)} now"]


def _mapping(recorded: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = recorded.get(name)
    return value if isinstance(value, Mapping) else {}


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return first_names([str(item) for item in value]) or "none"
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
