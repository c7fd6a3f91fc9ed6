"""Sphinx extension: takes the reference of the command line and of the settings from the program itself."""

from collections.abc import Iterator

import typer
from sphinx.application import Sphinx

# The same for every command, or of the shell rather than of the program.
_LEFT_OUT = ("--help", "--install-completion", "--show-completion")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", insert)
    app.connect("env-get-outdated", lambda *_: sorted(_PAGES))  # they change with the program
    return {"parallel_read_safe": True}


def insert(_: Sphinx, page: str, source: list[str]) -> None:
    """Append to a page what is written by the program; source[0] is its Markdown."""
    if page in _PAGES:
        source[0] += _PAGES[page]()


def command_line() -> str:
    """Markdown about every command: a heading each, what it does, its arguments and options."""
    from morphoscope.apps.bundled_models import GENERATOR
    from morphoscope.apps.cli import app

    lines = _sections(typer.main.get_command(app), typer.Context, "morphoscope", 1)
    return "\n".join(lines).replace(str(GENERATOR.parent), "apps/bundled")


def _sections(command, context_class, name: str, level: int) -> Iterator[str]:
    context = context_class(command, info_name=name)
    if level > 1:
        yield from (f"\n{'#' * level} `{name}`\n", *(command.help or "").split("\n"), "")
    yield from ("```text", command.get_usage(context).removeprefix("Usage: "), "```", "")
    records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    rows = [
        f"| `{_cell(left)}` | {_cell(right)} |" for left, right in records if left.split()[0] not in _LEFT_OUT
    ]
    if rows:
        yield from ("| argument or option | meaning |", "|---|---|", *rows, "")
    for inner in getattr(command, "commands", {}).values():
        yield from _sections(inner, context_class, f"{name} {inner.name}", level + 1)


def settings() -> str:
    """Markdown about every setting: a heading per command and per group, and a table of its settings."""
    from morphoscope.apps.commands.settings import COLUMNS, SCHEMAS, by_group, heading, row

    lines = []
    for schema in SCHEMAS:
        lines += [f"\n## `{schema.command}`\n"]
        for group, fields in by_group(schema).items():
            if group:
                lines += [f"\n### `{schema.command}`: {group}\n", heading(schema, group), ""]
            elif len(by_group(schema)) > 1:
                lines += [f"\n### `{schema.command}`: outside the groups\n"]
            lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
            for name, *cells in map(row, fields):
                lines.append(f"| `{name}` | {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


_PAGES = {"reference/command-line": command_line, "reference/settings": settings}
