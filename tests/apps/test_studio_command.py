"""`morphoscope app`."""

import pytest
from typer.testing import CliRunner

from morphoscope.apps import studio
from morphoscope.apps.cli import app
from morphoscope.ops import dispatch


def test_the_kernels_are_built_before_anyone_visits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_kernels", {})
    known: list[list[str]] = []
    monkeypatch.setattr(studio, "launch", lambda page, host, port: known.append(list(dispatch._kernels)))
    assert CliRunner().invoke(app, ["app", "--device", "cpu"]).exit_code == 0
    assert known == [["cpu"]]
