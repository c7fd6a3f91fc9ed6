"""Every setting is listed, and options of their own say what the schema says."""

import json
from collections.abc import Iterator

import pytest
import typer
from rich.markup import escape

from morphoscope.apps import cli
from morphoscope.apps.commands.settings import SCHEMAS
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.help import default_text, meaning, range_text, type_text
from morphoscope.configs.schema import Config, Resume, fields_of, groups_of

BY_COMMAND = {schema.command: schema for schema in SCHEMAS}
# Options whose name is not the field's.
RENAMED = {"condition": "conditions"}
COMMON = {
    "cohort phantom": {"per_condition", "size", "seed"},
    "cohort phantom-faces": {"people", "images", "degree", "seed"},
    "cohort split": {"folds", "test", "seed"},
    "cohort audit": {"folds", "test", "accuracy", "correlation", "seed"},
    "generate train": {"kimg", "resolution", "batch", "seed"},
    "generate sample": {"conditions", "count", "psi", "precision", "printed_mark", "seed"},
    "generate morph": {
        "steps",
        "way",
        "interpolation",
        "even",
        "film",
        "psi",
        "precision",
        "printed_mark",
        "seed",
    },
    "generate loop": {
        "steps",
        "way",
        "interpolation",
        "even",
        "film",
        "psi",
        "precision",
        "printed_mark",
        "seed",
    },
    "generate grid": {"count", "steps", "way", "psi", "precision", "seed"},
    "generate triangle": {"side", "psi", "precision", "seed"},
    "generate mix": {"layers", "psi", "precision", "seed"},
    "generate directions": {"axes", "count", "layers", "strength", "psi", "precision", "seed"},
    "generate project": {"space", "to", "network", "seed"},
    "generate augment": {"per_condition", "view", "psi", "precision", "morphs", "drop_closer", "seed"},
    "generate metrics": {"rows", "images", "network", "psi", "precision", "closest_pairs", "seed"},
    "classify train": {"epochs", "resolution", "batch", "seed"},
    "gestalt tune": {"frequent", "held_out", "seed"},
    "gestalt train": {"epochs", "batch", "width", "seed"},
    "classify evaluate": {"rows", "view", "test_time", "prevalence"},
    "classify explain": {"method", "baseline", "steps", "seed"},
    "classify compare": {"rows", "view", "margin", "prevalence", "seed"},
    "classify attribution": {"rows", "view", "methods", "images", "seed"},
    "classify survey build": {"surveys", "per_condition", "seed"},
    "classify survey analyse": {"rows", "seed"},
    "study run": {"cohort"},
}


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command of the command line by its words."""

    def walk(group: typer.core.TyperGroup, words: list[str]) -> Iterator[tuple[str, typer.core.TyperCommand]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, [*words, name])
            else:
                yield " ".join([*words, name]), command

    yield from walk(typer.main.get_command(cli.app), [])


def own_options(words: str) -> dict[str, typer.core.TyperOption]:
    """{field: option} of the options that a command has for its settings."""
    command, schema = dict(commands())[words], BY_COMMAND[words]
    named = {RENAMED.get(param.name, param.name): param for param in command.params}
    return {name: named[name] for name in fields_of(schema) if name in named}


def test_every_command_that_takes_settings_is_listed() -> None:
    taking = {words for words, command in commands() if any(param.name == "set_" for param in command.params)}
    assert taking == BY_COMMAND.keys() == COMMON.keys()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_field_says_what_it_means(schema: type[Config]) -> None:
    for name, field in fields_of(schema).items():
        text = meaning(field.info)
        assert len(text) > 8 and text[0].isupper() and not text.endswith("."), name


@pytest.mark.parametrize("words", COMMON)
def test_options_of_their_own_say_what_the_field_says(words: str) -> None:
    options, fields = own_options(words), fields_of(BY_COMMAND[words])
    assert options.keys() == COMMON[words]
    for name, option in options.items():
        field = fields[name]
        assert option.default is None  # so that --config, --set and the schema decide
        assert option.help.startswith(escape(meaning(field.info))), name
        if not field.info.is_required() and field.info.default not in (None, []):
            assert f"default: {escape(default_text(field.info))}" in option.help, name
        assert range_text(field.info) in option.help, name


@pytest.mark.parametrize("words", [words for words, names in COMMON.items() if "seed" in names])
def test_an_option_reaches_its_setting(words: str, command_line, tmp_path, monkeypatch) -> None:
    """A value out of range is refused by the schema, in its name, before anything is read."""
    monkeypatch.chdir(tmp_path)
    command = dict(commands())[words]
    needed: list[str] = []
    for param in command.params:
        if param.required:
            words_of = ["none"] * max(param.nargs, 1)
            needed += [param.opts[0], *words_of] if isinstance(param, typer.core.TyperOption) else words_of
    for name, option in own_options(words).items():
        if range_text(fields_of(BY_COMMAND[words])[name].info):
            code, _, err = command_line(*words.split(), *needed, option.opts[0], "-7")
            assert code == 2
            assert err.startswith(f"morphoscope: {name}: Input should be"), name
    assert list(tmp_path.iterdir()) == []


def test_help_shows_psi_and_its_default(command_line, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for verb, default in [("sample", "0.7"), ("morph", "0.7"), ("augment", "1"), ("metrics", "1")]:
        _, out, _ = command_line("generate", verb, "--help")
        text = " ".join(out.replace("│", " ").split())
        assert "--psi" in text
        assert f"(0 to 2; default: {default})" in text


def test_all_commands_are_listed(command_line) -> None:
    code, out, _ = command_line("settings")
    assert code == 0
    for words, schema in BY_COMMAND.items():
        assert f"│ {words.replace(' ', '.')} " in out
        assert f" {len(fields_of(schema))} " in out
    _, out, _ = command_line("settings", "--json")
    assert json.loads(out)["generate.train"] == len(fields_of(BY_COMMAND["generate train"]))


@pytest.mark.parametrize("words", COMMON)
def test_all_settings_of_a_command_are_listed(words: str, command_line) -> None:
    schema = BY_COMMAND[words]
    code, out, _ = command_line("settings", words.replace(" ", "."))
    assert code == 0
    for group in groups_of(schema):
        assert f"{group}: " in out
    for name, field in fields_of(schema).items():
        row = next(line for line in out.splitlines() if line.startswith(f"│ {name} "))
        assert type_text(field.info) in row
        assert range_text(field.info) in row
        assert default_text(field.info) in row
        assert meaning(field.info) in row
        assert ("May change when a run resumes" in row) == (Resume.MAY_CHANGE in field.marks)


@pytest.mark.parametrize("words", COMMON)
def test_settings_as_json(words: str, command_line) -> None:
    schema: type[Config] = BY_COMMAND[words]
    _, out, _ = command_line("settings", words.replace(" ", "."), "--json")
    listed = json.loads(out)
    assert listed["command"] == words
    assert [entry["name"] for entry in listed["settings"]] == list(fields_of(schema))
    for entry in listed["settings"]:
        field = fields_of(schema)[entry["name"]]
        assert entry["group"] == (field.group or None)
        assert entry["required"] == field.info.is_required()
        assert entry["meaning"] == meaning(field.info)
        if not entry["required"]:
            assert entry["default"] == field.info.get_default(call_default_factory=True)


def test_a_command_without_settings_is_named(command_line) -> None:
    code, _, err = command_line("settings", "generate.report")
    assert code == 2
    assert "no command 'generate.report' has settings; use one of cohort.phantom, " in err


def test_hints_name_a_command_that_lists_them(command_line) -> None:
    """What an unknown setting's message recommends works."""
    _, _, err = command_line("generate", "train", "nowhere", "--set", "kmig=3")
    assert "did you mean training.kimg? `morphoscope settings generate.train` lists all settings" in err
    assert GeneratorTraining.command in BY_COMMAND
