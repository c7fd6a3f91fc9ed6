"""`morphoscope settings`: every setting of a command, with type, range, default and meaning."""

import json
from typing import Annotated, Any

import typer

from morphoscope.configs import UserError
from morphoscope.configs.attribution import MapComparison
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import (
    Auditing,
    Augmenting,
    Comparing,
    Evaluating,
    Explaining,
    Measuring,
    PhantomDrawing,
    PhantomFaces,
    Sampling,
    Splitting,
)
from morphoscope.configs.faces import HeadTuning, RegionTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.help import default_text, meaning, range_text, type_text
from morphoscope.configs.morphs import (
    DirectionDrawing,
    GridDrawing,
    Looping,
    Morphing,
    StyleMixing,
    TriangleDrawing,
)
from morphoscope.configs.projection import Projecting
from morphoscope.configs.schema import Config, Resume, SchemaField, fields_of, groups_of
from morphoscope.configs.study import Study
from morphoscope.configs.survey import SurveyAnalysis, SurveyBuilding
from morphoscope.runtime.terminal import say, show, table

SCHEMAS: list[type[Config]] = [
    PhantomDrawing,
    PhantomFaces,
    Splitting,
    Auditing,
    GeneratorTraining,
    Sampling,
    Morphing,
    Looping,
    GridDrawing,
    TriangleDrawing,
    StyleMixing,
    DirectionDrawing,
    Projecting,
    Augmenting,
    Measuring,
    EnsembleTraining,
    RegionTraining,
    HeadTuning,
    Evaluating,
    Comparing,
    Explaining,
    MapComparison,
    SurveyBuilding,
    SurveyAnalysis,
    Study,
]
"""Of all commands that take `--set`."""

COLUMNS = ["setting", "type and range", "default", "meaning"]

_COMMANDS = {schema.command.replace(" ", "."): schema for schema in SCHEMAS}


def settings(
    command: Annotated[
        str | None,
        typer.Argument(metavar="COMMAND", help="E.g. generate.train; without it, all commands are listed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the settings of a command, which `--set KEY=VALUE` and `--config FILE` take.

    A setting in a group may be written with or without it: images.mirror=true or mirror=true.
    """
    if command is None:
        names = {name: len(fields_of(schema)) for name, schema in _COMMANDS.items()}
        if as_json:
            say(json.dumps(names, indent=2))
        else:
            show(table(["command", "settings"], [(name, str(count)) for name, count in names.items()]))
        return
    if command not in _COMMANDS:
        raise UserError(f"settings: no command '{command}' has settings; use one of {', '.join(_COMMANDS)}.")
    schema = _COMMANDS[command]
    if as_json:
        listed = [_facts(field) for field in fields_of(schema).values()]
        say(json.dumps({"command": schema.command, "settings": listed}, indent=2, ensure_ascii=False))
    else:
        _print(schema)


def _facts(field: SchemaField) -> dict[str, Any]:
    return {
        "group": field.group or None,
        "name": field.name,
        "type": type_text(field.info),
        "range": range_text(field.info) or None,
        "default": None if field.info.is_required() else field.info.get_default(call_default_factory=True),
        "required": field.info.is_required(),
        "meaning": meaning(field.info),
        "may_change_on_resume": Resume.MAY_CHANGE in field.marks,
    }


def by_group(schema: type[Config]) -> dict[str, list[SchemaField]]:
    """{group: its settings}, with "" for those outside groups, in the schema's order."""
    found: dict[str, list[SchemaField]] = {}
    for field in fields_of(schema).values():
        found.setdefault(field.group, []).append(field)
    return found


def heading(schema: type[Config], group: str) -> str:
    """What a group's settings are about."""
    return (groups_of(schema)[group].__doc__ or "").strip()


def row(field: SchemaField) -> tuple[str, str, str, str]:
    """A setting's cells under `COLUMNS`."""
    kind = ", ".join(filter(None, [type_text(field.info), range_text(field.info)]))
    default = "(the preset's)" if field.info.is_required() else default_text(field.info)
    resume = " May change when a run resumes." if Resume.MAY_CHANGE in field.marks else ""
    return field.name, kind, default, f"{meaning(field.info)}.{resume}"


def _print(schema: type[Config]) -> None:
    """A table for each group, and one for the settings outside groups."""
    for group, fields in by_group(schema).items():
        if group:
            say(f"{group}: {heading(schema, group)}")
        elif groups_of(schema):
            say("Outside the groups:")
        show(table(COLUMNS, map(row, fields)))
