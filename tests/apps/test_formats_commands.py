"""`generate import` and `generate export` as a user runs them."""

import sys

import pytest

from morphoscope.apps import cli
from morphoscope.apps.bundled_models import GENERATOR


def call(monkeypatch, *words):
    """Exit code of one command line."""
    monkeypatch.setattr(sys, "argv", ["morphoscope", "generate", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_a_program_is_exported(tmp_path, monkeypatch, capsys):
    assert call(monkeypatch, "export", GENERATOR, tmp_path / "g.pt2", "--format", "torch") == 0
    captured = capsys.readouterr()
    assert "Every image that it makes is synthetic" in captured.out + captured.err
    assert (tmp_path / "g.pt2").stat().st_size > 1e6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import", "missing.pkl", "out.safetensors"), "missing.pkl: no such file"),
        (("export", GENERATOR, "g.onnx", "--opset", 99), "opset 99"),
        (("export", GENERATOR, "g.pt2", "--format", "torch", "--opset", 20), "only for --format onnx"),
        (("import", "x.pkl", "o.safetensors", "--compare", "."), "no images named by seed"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path, monkeypatch, capsys):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "import", path, "out.safetensors") == 2
    assert "os.system" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]
