"""`morphoscope generate report`: from a run folder to a page, or one line that says why not."""

import pytest
from typer.testing import CliRunner

from morphoscope.apps.cli import app, main


def test_report_of_a_run_folder(tmp_path):
    (tmp_path / "config.yaml").write_text("resolution: 64\nkimg: 40.0\n")
    done = CliRunner().invoke(app, ["generate", "report", str(tmp_path)], env={"COLUMNS": "500"})
    assert done.exit_code == 0, done.output
    assert f"Wrote {tmp_path / 'report.html'}" in done.output
    assert (tmp_path / "report.html").exists()


def test_another_folder_is_named_in_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.yaml").write_text("images: 10\n")  # of `generate metrics`
    monkeypatch.setattr("sys.argv", ["morphoscope", "generate", "report", str(tmp_path)])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 2
    said = capsys.readouterr().err
    assert "not the config of a training's run folder" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "report.html").exists()
