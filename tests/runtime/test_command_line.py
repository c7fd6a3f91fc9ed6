"""What a run folder records of the command line names no folder outside the working folder."""

from pathlib import Path

import pytest

from morphoscope.runtime.command_line import recorded_command


@pytest.mark.parametrize(
    ("word", "recorded"),
    [
        ("cohorts/ham", "cohorts/ham"),
        ("./run", "./run"),
        ("/home/doe/patients/ham", "ham"),
        ("--run=/home/doe/run", "--run=run"),
        ("weights_file=/home/doe/w.pth", "weights_file=w.pth"),
        ("../doe/ham", "ham"),
        ("..", "{parent}"),
        ("a/../../doe/ham", "ham"),
        ("~5 cm", "~5 cm"),
        ("group=^(P[0-9]+)", "group=^(P[0-9]+)"),
        ("~/ham", "ham"),
        ("C:\\Users\\doe\\ham.zip", "ham.zip"),
        ("\\\\server\\doe\\ham", "ham"),
        ("{here}/runs/a", "runs/a"),
        ("0.5", "0.5"),
        ("kimg=100", "kimg=100"),
        ("NF1 a=b", "NF1 a=b"),
        ("/", "/"),
    ],
)
def test_paths_outside_are_cut(
    word: str, recorded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    word, recorded = (text.format(here=here, parent=tmp_path.name) for text in (word, recorded))
    assert recorded_command(["generate", word]) == f"generate {recorded}"


@pytest.mark.parametrize(
    ("word", "recorded"),
    [
        ("jane/doe.jpg", "IMAGE"),
        ("./jane//doe.jpg", "IMAGE"),
        ("--row=jane/doe.jpg", "--row=IMAGE"),
        ("doe.jpg", "doe.jpg"),
    ],
)
def test_private_words_are_replaced(word: str, recorded: str) -> None:
    assert recorded_command(["generate", word], {"jane/doe.jpg": "IMAGE"}) == f"generate {recorded}"
