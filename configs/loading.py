"""From preset, file and `--set key=value` to a checked, frozen config."""

import difflib
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from morphoscope.configs.errors import UserError
from morphoscope.configs.schema import Config, GroupedConfig, SchemaField, fields_of, groups_of
from morphoscope.configs.user_files import read_regular

_MAX_CONFIG_BYTES = 100_000  # the YAML parser takes about a second for them
# What safe_load raises for text that is not YAML, for an impossible date or an endless number, and for
# brackets nested too deeply.
_YAML_ERRORS = (yaml.YAMLError, ValueError, RecursionError)


ConfigT = TypeVar("ConfigT", bound=Config)


class _Loader(yaml.SafeLoader):
    """Plain values only, each written out."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f"reference *{event.anchor}", event.start_mark)
        return super().compose_node(parent, index)


def list_presets(family: str) -> list[str]:
    """Names of the presets in a family ("generate" or "classify"), sorted."""
    folder = resources.files("morphoscope.configs") / "presets" / family
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def load_config(
    schema: type[ConfigT],
    *,
    family: str | None = None,
    preset: str | None = None,
    file: Path | None = None,
    overrides: list[str] | None = None,
    **values: Any,
) -> ConfigT:
    """Build a config; later sources win: preset, then YAML file, then `overrides`, then keyword values.

    Args:
        family, preset: a shipped preset, e.g. ("generate", "cpu64").
        file: YAML file with the schema's field names; a field of a group may stand in it or without it.
        overrides: "key=value" or "group.key=value" strings; the value is read as YAML, so 3 is a number and
            [1, 2] a list.
        values: fields set by name; None means "not given".

    Raises:
        UserError: an unknown preset, an unreadable file, an unknown field, a value out of range, or a source
            that gives a field twice, in its group and without it.
    """
    sources: list[dict[str, Any]] = []
    if preset is not None:
        assert family is not None
        sources.append(_preset(family, preset))
    if file is not None:
        sources.append(read_yaml(file))
    sources += [_parse_override(override) for override in overrides or []]
    sources.append({key: value for key, value in values.items() if value is not None})
    merged: dict[str, Any] = {}
    for source in sources:
        _merge(merged, schema.grouped(source) if issubclass(schema, GroupedConfig) else source)
    return validated(schema, merged)


def validated(schema: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """Build a config from `values`.

    Raises:
        UserError: an unknown field or a value out of range; the message names every such field.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise UserError(_describe(error, schema)) from error


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML mapping without executing anything in it.

    Raises:
        UserError: the file is missing, larger than 100 kB, not a file, not YAML, or not a mapping.
    """
    return parse_yaml(read_regular(file, _MAX_CONFIG_BYTES), str(file))


def parse_yaml(data: bytes, file: str) -> dict[str, Any]:
    """The YAML mapping in a file's content; UserError, which names `file`, if it is none.

    References (`*name`) are refused: no config needs them, and a few of them unfold to billions of values.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text ({error}).") from error
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 (a subclass of SafeLoader)
    except _YAML_ERRORS as error:
        raise UserError(f"{file}: not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected 'key: value' lines at the top level.")
    return content


def _preset(family: str, preset: str) -> dict[str, Any]:
    names = list_presets(family)
    if preset not in names:
        raise UserError(f"Unknown preset '{preset}'; choose one of {', '.join(names)}.")
    entry = resources.files("morphoscope.configs") / "presets" / family / f"{preset}.yaml"
    return yaml.safe_load(entry.read_text(encoding="utf-8")) or {}


def _parse_override(override: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {override}: expected key=value, e.g. --set kimg=100.")
    try:
        value = yaml.safe_load(text)
    except _YAML_ERRORS as error:
        raise UserError(f"--set {override}: the value is not valid YAML.") from error
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return value


def _merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    """Nested dictionaries merge key by key; anything else is replaced."""
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _describe(error: ValidationError, schema: type[Config]) -> str:
    problems = []
    for problem in error.errors():
        place = [str(part) for part in problem["loc"]]
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"no such setting{_suggestion(place[-1], schema)}"
        elif place and place[0] in groups_of(schema) and (len(place) > 1 or problem["type"] == "value_error"):
            del place[0]  # a field's name says enough, and so does a rule that concerns several
        problems.append(f"{'.'.join(place)}: {message}" if place else message)
    return "; ".join(problems)


def _suggestion(name: str, schema: type[Config]) -> str:
    """Which setting may be meant, and where all are listed."""
    fields = fields_of(schema)
    meant = [name] if name in fields else difflib.get_close_matches(name, fields, n=1)
    asked = "".join(f"; did you mean {_full_name(fields[field])}?" for field in meant)
    if not schema.command:
        return f"{asked or ';'} the settings are {', '.join(fields)}"
    return f"{asked or ';'} `morphoscope settings {schema.command.replace(' ', '.')}` lists all settings"


def _full_name(field: SchemaField) -> str:
    return f"{field.group}.{field.name}" if field.group else field.name
