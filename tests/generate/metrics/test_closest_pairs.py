"""The closest pairs, and `generate metrics` with its tests for copies and its page of real images."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from morphoscope.apps.commands.generate import app, networks
from morphoscope.configs import UserError
from morphoscope.generate.metrics import CopyingReport, closest_pairs


def test_pairs_are_in_the_order_of_their_distances():
    training = np.array([[0.0, 0], [10, 0], [20, 0]])
    generated = {"a": np.array([[1.0, 0], [5, 0]]), "b": np.array([[20, 0.5], [12, 0]])}
    pairs = closest_pairs(generated, training, 3)
    assert [tuple(pair) for pair in pairs] == [("b", 0, 2, 0.5), ("a", 0, 0, 1.0), ("b", 1, 1, 2.0)]


@pytest.fixture
def measure(tiny_cohort, tiny_snapshot, tmp_path, make_network, monkeypatch):
    """measure(*options) -> (result of the command, its run folder)."""
    monkeypatch.setattr(networks, "load_feature_network", lambda *_: make_network())
    words = ["metrics", str(tiny_snapshot), str(tiny_cohort.root), "--images", "8", "--device", "cpu"]
    words += ["--set", "perceptual_network=null"]
    run = tmp_path / "run"

    def call(*options):
        return CliRunner().invoke(app, [*words, "--run", str(run), *options]), run

    return call


def test_copies_are_looked_for_and_no_real_image_is_written_unless_requested(measure):
    result, run = measure("--rows", "training")
    assert result.exception is None
    found = json.loads((run / "metrics.json").read_text())
    copying = CopyingReport.from_json(found["copying"])
    assert (copying.overall.held_out, copying.overall.patients) == (6, 6)  # fold 2, not the test fold
    assert copying.overall.generated == 16
    assert found["figures"]["closer_averages"] == copying.overall.closer.value
    assert [path.name for path in run.iterdir() if path.suffix in (".html", ".png")] == ["report.html"]
    page = (run / "report.html").read_text()
    assert "Copies of training images" in page and "<img" not in page


def test_the_page_of_closest_pairs_says_that_it_shows_patients(measure, tiny_cohort):
    result, run = measure("--closest-pairs", "3")  # against the test fold
    assert result.exception is None
    page = (run / "closest-pairs.html").read_text()
    assert "REAL IMAGES OF PATIENTS" in page
    pictures = [base64.b64decode(data) for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", page)]
    assert len(pictures) == 3
    with Image.open(io.BytesIO(pictures[0])) as picture:
        assert picture.size == (2 * 192 + 8, 192)
        assert b"synthetic? yes" in picture.info["comment"]
        right = np.asarray(picture)[:, 200:].mean(axis=(0, 1))
    file = re.search(r"Right: real, \w+, (\w+\.png)", page)[1]
    row = list(tiny_cohort.rows["file"]).index(file)
    assert tiny_cohort.rows["fold"][row] in ("0", "1")
    assert right == pytest.approx(tiny_cohort.image(row).mean(axis=(0, 1)), abs=3)


def test_without_training_images_there_are_no_pairs(measure, tiny_cohort, tmp_path, tiny_snapshot):
    other = tiny_cohort.select(tiny_cohort.rows["fold"] == "test").save_as(tmp_path / "other")
    words = ["metrics", str(tiny_snapshot), str(other.root), "--images", "8", "--device", "cpu"]
    plain = CliRunner().invoke(app, [*words, "--run", str(tmp_path / "plain")])
    assert plain.exception is None
    assert json.loads((tmp_path / "plain" / "metrics.json").read_text())["copying"] is None
    refused = CliRunner().invoke(app, [*words, "--run", str(tmp_path / "pairs"), "--closest-pairs", "3"])
    assert isinstance(refused.exception, UserError) and "another cohort or split" in str(refused.exception)
    assert not (tmp_path / "pairs").exists()
