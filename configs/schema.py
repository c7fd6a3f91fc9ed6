"""The base of every schema, and schemas whose fields stand in named groups."""

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from morphoscope.configs.errors import UserError


class Config(BaseModel):
    """Base of every schema: immutable, finite, and a misspelt field is an error, not a silent default."""

    # `defer_build`: validators are built when a schema is first used, since `--help` uses none of them.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    command: ClassVar[str] = ""
    """The command that takes these settings, e.g. "generate sample"; "" for a part of a schema."""

    @classmethod
    def from_earlier(cls, values: Mapping[str, Any]) -> Self:
        """The settings that an earlier run recorded; what its version did not know has its default.

        Raises:
            ValidationError: this version does not take a value.
        """
        return cls.model_validate(values)


class Resume(Enum):
    """What an interrupted training does with a field when it resumes; stands on the field as `Annotated[…]`.

    A field without a mark must keep its value: another value is an error that names it.
    """

    MAY_CHANGE = "may change"
    """Only how long the run is, how it is computed, or how it is logged."""
    KEEPS_AUTOMATIC = "keeps the automatic value"
    """Left at None, it keeps the value that the run derived when it started."""
    KEEPS_SNAPSHOTS = "keeps the snapshot's value"
    """In a run that started from a snapshot, it keeps the value adopted then."""


class SchemaField(NamedTuple):
    """A field of a schema: its group's name ("" where it stands in none), its own, and pydantic's facts."""

    group: str
    name: str
    info: FieldInfo

    @property
    def marks(self) -> frozenset[Resume]:
        """The field's resume rule; empty where the value must stay the same."""
        return frozenset(mark for mark in self.info.metadata if isinstance(mark, Resume))


@cache
def groups_of(schema: type[Config]) -> dict[str, type[Config]]:
    """{group: its schema}; empty for a flat schema."""
    annotations = {name: info.annotation for name, info in schema.model_fields.items()}
    return {
        name: kind
        for name, kind in annotations.items()
        if isinstance(kind, type) and issubclass(kind, Config)
    }


@cache
def fields_of(schema: type[Config]) -> dict[str, SchemaField]:
    """{name: field} of all fields, those in groups included; names are unique within a schema."""
    found: list[SchemaField] = []
    groups = groups_of(schema)
    for name, info in schema.model_fields.items():
        if name in groups:
            found += [SchemaField(name, inner, facts) for inner, facts in groups[name].model_fields.items()]
        else:
            found.append(SchemaField("", name, info))
    fields = {field.name: field for field in found}
    assert len(fields) == len(found), f"{schema.__name__}: a field's name occurs in two groups"
    assert fields.keys().isdisjoint(groups), f"{schema.__name__}: a group has the name of a field"
    return fields


def fields_marked(schema: type[Config], mark: Resume) -> frozenset[str]:
    """Names of the fields with this resume rule."""
    return frozenset(name for name, field in fields_of(schema).items() if mark in field.marks)


def changed_settings(before: Mapping[str, Any], now: Config) -> dict[str, tuple[Any, Any]]:
    """{name: (value before, value now)} of the settings with which a run cannot resume or be repeated.

    Args:
        before: the settings that the run recorded, flat and as JSON, perhaps by an earlier version.
        now: those of today; their schema's resume rules apply.
    """
    schema = type(now)
    fields = fields_of(schema)
    known = {name: value for name, value in before.items() if name in fields}
    try:
        earlier = schema.from_earlier(known).model_dump(mode="json")
    except ValueError:  # a ValidationError or a UserError
        earlier = known
    settings = now.model_dump(mode="json")
    free = fields_marked(schema, Resume.MAY_CHANGE)
    changed = {
        name: (earlier.get(name), value)
        for name, value in settings.items()
        if name not in free and earlier.get(name) != value
    }
    return changed | {name: (before[name], None) for name in before.keys() - fields.keys()}


class GroupedConfig(Config):
    """A schema whose fields stand in groups, and may be given without them: `mirror` for `images.mirror`.

    Everything that takes fields by name takes both forms: construction, YAML files, `--set` and
    `model_copy(update=…)`. Everything written is flat, {"mirror": …}: `model_dump`, and with it config.yaml
    and the metadata of checkpoints, whose format thus does not depend on how the fields are grouped.
    """

    @classmethod
    def grouped(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` with every field in its group; unknown names stay where they are.

        Raises:
            UserError: a field is given both in its group and without it, with different values.
        """
        groups, fields = groups_of(cls), fields_of(cls)
        found = {name: _group_values(values[name]) for name in groups if name in values}
        for name, value in values.items():
            if name in groups:
                continue
            group = fields[name].group if name in fields else ""
            into = found.setdefault(group, {}) if group else found
            if not isinstance(into, dict):
                continue  # a group that is no mapping: validation names it
            if name in into and into[name] != value:
                raise UserError(
                    f"{name}: given twice with different values, {into[name]!r} and {value!r}; give it once."
                )
            into[name] = value
        return found

    @property
    def given(self) -> frozenset[str]:
        """Names of the fields that were given, not left at their defaults."""
        groups = groups_of(type(self))
        inner = (getattr(self, group).model_fields_set for group in groups)
        return frozenset(self.model_fields_set - groups.keys()).union(*inner)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, which are not checked."""
        groups = groups_of(type(self))
        changes = {
            name: getattr(self, name).model_copy(update=value) if name in groups else value
            for name, value in self.grouped(update or {}).items()
        }
        return super().model_copy(update=changes, deep=deep)

    @model_validator(mode="before")
    @classmethod
    def _accept_both_forms(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {name: {} for name in groups_of(cls)} | cls.grouped(values)  # required fields are then named

    @model_serializer(mode="wrap")
    def _write_flat(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, value in serialise(self).items():
            flat |= value if name in groups_of(type(self)) else {name: value}
        return flat


def _group_values(values: Any) -> Any:
    """The fields of a group, given as a mapping or as the group's schema; anything else as it is."""
    if isinstance(values, Config):
        return {name: getattr(values, name) for name in values.model_fields_set}
    return dict(values) if isinstance(values, Mapping) else values
