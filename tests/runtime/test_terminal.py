"""Names appear on the terminal as they are, whatever they hold."""

import io
import sys
import threading
from time import sleep

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from morphoscope.runtime.terminal import console, say, show, sign_of_life, table, visible

names = st.text(min_size=1, max_size=40)
MARKUP = [
    "NF1 [mild]",
    "arm[left].jpg",
    "[/]",
    "[bold]x[/bold]",
    ":smile:",
    "\\[x]",
    "[link=file:///etc]a[/link]",
]


@pytest.mark.parametrize("name", MARKUP)
def test_a_line_is_never_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"Wrote {name}")
    assert capsys.readouterr().out == f"Wrote {name}\n"


@pytest.mark.parametrize("name", MARKUP)
def test_a_table_is_never_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(table(["image", name], [[name, "0.5"], ["b", name]]))
    assert capsys.readouterr().out.count(name) == 3


def test_a_long_path_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    path = "folder/" * 60 + "image.png"
    say(path)
    show(table(["file"], [[path]]))
    out = capsys.readouterr().out
    assert out.startswith(path + "\n") and out.count(path) == 2


@given(names)
@example("\x1b]0;owned\x07")
@example("a\u202egpj.exe")
@example("\udcff.jpg")
def test_what_is_visible_steers_nothing_and_keeps_the_rest(name: str) -> None:
    shown = visible(name)
    assert shown.isprintable() or all(c.isprintable() or c.isspace() or c > "\x9f" for c in shown)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    shown.encode("utf-8")
    if name.isprintable():
        assert shown == name


@given(st.lists(names, min_size=1, max_size=5))
@example(["\x1f\u20280"])
def test_a_table_holds_every_name_whole(listed: list[str]) -> None:
    out = io.StringIO()
    target = Console(file=out, width=10_000, markup=False, emoji=False, highlight=False)
    target.print(table(["name"], [[name] for name in listed]))
    text = out.getvalue()
    for name in listed:
        assert visible(name).strip() in text


def test_a_cell_cannot_forge_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    show(table(["image", "condition"], [["a.png\nb.png", "x"]]))
    assert "a.png\\nb.png" in capsys.readouterr().out


def test_the_console_is_plain() -> None:
    out = console()
    out.file = io.StringIO()
    out.print("[red]x[/red] :smile:")
    assert out.file.getvalue() == "[red]x[/red] :smile:\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_silent_start_gives_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    with sign_of_life("Starting …", after=0):
        while "\n" not in shown.getvalue():
            sleep(0.001)
    assert "Starting …" in shown.getvalue()


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_after_other_output_or_without_a_terminal_there_is_none(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with sign_of_life("Starting …", after=60):
        say("Wrote it")
    for thread in threading.enumerate():
        if thread.name == "sign of life":
            thread.join()
    assert "Starting" not in stream.getvalue()
