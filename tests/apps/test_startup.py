"""The command line answers at once: help and mistakes load nothing heavy, and cohort commands no torch."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import morphoscope
from morphoscope.apps import cli

HEAVY = ("torch", "gradio", "matplotlib", "pandas", "scipy", "timm", "sklearn", "cv2", "captum")

_PROBE = """
import sys
sys.argv = ["morphoscope", *{words!r}]
from morphoscope.apps import cli
try:
    cli.main()
except SystemExit as stop:
    code = stop.code or 0
print("\\nCODE", code, "LOADED", *[name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


def loaded(words: list[str], folder: Path) -> tuple[int, list[str]]:
    """(exit code, heavy modules that were loaded) of a command line in a fresh interpreter."""
    probe = _PROBE.format(words=words, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=folder, check=True
    )
    _, code, _, *names = done.stderr.splitlines()[-1].split()
    return int(code), names


def commands() -> list[list[str]]:
    """Every command of the command line, as its words."""
    found: list[list[str]] = [[]]

    def walk(group: typer.core.TyperGroup, words: list[str]) -> None:
        for name, command in group.commands.items():
            found.append([*words, name])
            if hasattr(command, "commands"):
                walk(command, [*words, name])

    walk(typer.main.get_command(cli.app), [])
    return found


def test_every_help_is_light(tmp_path: Path) -> None:
    """All in one interpreter: what one of them loads stays loaded."""
    probe = f"""
import sys, contextlib, io
from morphoscope.apps import cli
for words in {commands()!r}:
    for flag in ("--help", "-h"):
        sys.argv = ["morphoscope", *words, flag]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            try:
                cli.main()
            except SystemExit as stop:
                assert not stop.code, (words, stop.code)
        assert "Usage" in out.getvalue(), words
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not heavy, (words, heavy)
"""
    subprocess.run([sys.executable, "-c", probe], check=True, cwd=tmp_path)


def test_the_version_is_light(tmp_path: Path) -> None:
    assert loaded(["--version"], tmp_path) == (0, [])
    shown = CliRunner().invoke(cli.app, ["--version"]).output
    assert shown == f"morphoscope {version('morphoscope')}\n"
    assert morphoscope.__version__ == version("morphoscope")
    with pytest.raises(AttributeError, match="no attribute 'x'"):
        morphoscope.x  # noqa: B018 (raises)


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "sample", "--no-such-option"],
        ["no-such-command"],
        ["cohort", "import", "no-such-layout", "a", "b"],
        ["generate", "train", "nowhere", "--set", "colour=3"],
        ["classify", "train", "nowhere", "--preset", "huge"],
    ],
)
def test_a_mistake_is_light(words: list[str], tmp_path: Path) -> None:
    assert loaded(words, tmp_path) == (2, [])


def test_cohort_commands_load_no_torch(tmp_path: Path) -> None:
    for words in (
        ["cohort", "phantom", "phantoms", "--set", "per_condition=2", "--set", "size=32"],
        ["cohort", "split", "phantoms", "--folds", "2", "--test", "0"],
        ["cohort", "check", "phantoms"],
        ["cohort", "join", "phantoms", "joined"],
    ):
        _, names = loaded(words, tmp_path)
        assert not {"torch", "gradio", "matplotlib"} & set(names), words


def test_no_help_shows_a_path_of_this_machine() -> None:
    """Defaults that lie in the package are described, not spelled out."""
    for words in commands():
        shown = CliRunner().invoke(cli.app, [*words, "--help"], terminal_width=400).output
        assert str(Path.home()) not in shown
        assert ".safetensors]" not in shown, words
