"""`morphoscope generate report`: from a run folder to a page, or one line that says why not."""

from typer.testing import CliRunner

from morphoscope.apps.cli import app


def test_report_of_a_run_folder(tmp_path):
    (tmp_path / "config.yaml").write_text("kimg: 40.0\n")
    done = CliRunner().invoke(app, ["generate", "report", str(tmp_path)], env={"COLUMNS": "500"})
    assert done.exit_code == 0, done.output
    assert f"Wrote {tmp_path / 'report.html'}" in done.output
    assert (tmp_path / "report.html").exists()
