"""The command line as a user calls it."""

import sys

import pytest

from morphoscope.apps import cli


@pytest.fixture
def command_line(monkeypatch, capsys):
    """command_line(*words) -> (exit code, stdout, stderr) of one call of `morphoscope`."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["morphoscope", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out = capsys.readouterr()
        return stop.value.code or 0, out.out, out.err

    return call
