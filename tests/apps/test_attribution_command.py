"""`classify explain` and `classify attribution` as a user runs them, on the bundled ensemble."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from morphoscope.apps.bundled_models import ENSEMBLE
from morphoscope.apps.commands import photographs
from morphoscope.cohort import Provenance, phantom
from morphoscope.cohort.marked_files import read_provenance, write_synthetic_image


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    return phantom(tmp_path_factory.mktemp("attribution") / "phantoms", per_condition=1, size=64, seed=5)


@pytest.fixture
def run(tmp_path, monkeypatch, command_line):
    """Run one command line in an empty folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return command_line


def test_explain_by_another_method(run, phantoms, tmp_path):
    image = phantoms.root / phantoms.rows["file"][0]
    code, out, _ = run("classify", "explain", ENSEMBLE, image, "--method", "gradcam", "--run", "cam")
    assert code == 0
    assert "by gradcam" in out and "rank correlation" in out and "convergence" not in out
    assert np.load(tmp_path / "cam" / "map.npy").shape == (64, 64)
    assert np.load(tmp_path / "cam" / "folds.npy").shape == (5, 128, 128)
    assert not (tmp_path / "cam" / "deltas.npy").exists()
    width, height = Image.open(tmp_path / "cam" / "overlay.png").size
    assert width > 2 * 480 and 480 < height < width
    page = (tmp_path / "cam" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "single models" in page
    models = pd.read_csv(tmp_path / "cam" / "models.csv")
    assert list(models) == ["fold", "probability", "agreement"] and len(models) == 5
    assert f"correlation between the folds' maps: {models['agreement'].mean():.2f}" in " ".join(out.split())
    (predicted,) = pd.read_csv(tmp_path / "cam" / "probabilities.csv").itertuples()
    assert predicted.file == image.name and predicted.predicted == phantoms.rows["condition"][0]
    figures = {path.name for path in (tmp_path / "cam").iterdir() if path.stem in ("models", "overlay")}
    expected = {f"{name}{kind}" for name in ("models", "overlay") for kind in (".pdf", ".png", ".svg")}
    assert figures == expected | {"models.csv"}
    assert "Grad-CAM" in page and image.name in page and "equally frequent conditions" in page
    assert "trained on phantoms" in page
    assert yaml.safe_load((tmp_path / "cam" / "config.yaml").read_text())["method"] == "gradcam"


def test_the_picture_of_a_synthetic_image_is_marked(run, phantoms, tmp_path):
    made = Provenance(generator="ab", phantoms_only=True, label={"NF1": 1.0}, seed=3, psi=0.7)
    for file, provenance in (("made.png", made), ("old.png", Provenance(phantoms_only=True))):
        write_synthetic_image(tmp_path / file, phantoms.image(0), provenance)
        code, _, err = run("classify", "explain", ENSEMBLE, file, "--method", "gradcam", "--run", file[:3])
        assert code == 0, err
        with Image.open(tmp_path / file[:3] / "overlay.png") as picture:
            assert read_provenance(picture) == provenance
            assert (np.asarray(picture) == (255, 209, 102)).all(axis=2).any()  # the word SYNTHETIC
    code, _, _ = run(
        *("classify", "explain", ENSEMBLE, phantoms.root / phantoms.rows["file"][0]),
        *("--method", "gradcam", "--run", "drawn"),
    )
    assert read_provenance(Image.open(tmp_path / "drawn" / "overlay.png")) is None


def test_a_photograph_is_decoded_once(run, phantoms, monkeypatch):
    decoded = []
    read = photographs.read_image
    monkeypatch.setattr(photographs, "read_image", lambda *source: decoded.append(source) or read(*source))
    image = phantoms.root / phantoms.rows["file"][0]
    assert run("classify", "explain", ENSEMBLE, image, "--method", "gradcam")[0] == 0
    assert len(decoded) == 1


def test_explain_warns_of_a_coarse_integral(run, phantoms, tmp_path):
    image = phantoms.root / phantoms.rows["file"][1]
    code, out, _ = run(
        "classify", "explain", ENSEMBLE, image, "--set", "steps=2", "--set", "baseline=black", "--run", "ig"
    )
    assert code == 0
    assert "Warning: The integral has an error of up to" in " ".join(out.split())
    deltas = np.load(tmp_path / "ig" / "deltas.npy")
    assert deltas.shape == (5,)
    models = pd.read_csv(tmp_path / "ig" / "models.csv")
    np.testing.assert_allclose(models["convergence_delta"], deltas, atol=1e-6)
    sums = np.load(tmp_path / "ig" / "folds.npy").sum(axis=(1, 2))
    np.testing.assert_allclose(models["sum"], sums, atol=1e-5)
    assert f"convergence delta up to {max(deltas, key=abs):+.4f}" in " ".join(out.split())
    assert "--steps 4" in " ".join(out.split())


def test_methods_are_compared_in_one_table(run, phantoms, tmp_path):
    code, out, _ = run(
        *("classify", "attribution", ENSEMBLE, phantoms.root, "--rows", "all", "--methods", "gradcam"),
        *("--images", 3, "--set", "points=2", "--set", "cascade=2", "--run", "table"),
    )
    assert code == 0
    assert "as layers are re-initialised from the head (2 images)" in " ".join(out.split())
    assert "inside lesion mask" in out and "gradcam" in out and "random" in out
    table = pd.read_csv(tmp_path / "table" / "table.csv")
    assert list(table["method"]) == ["gradcam", "random"]
    content = json.loads((tmp_path / "table" / "table.json").read_text())
    assert content["images"] == 3 and content["phantom"] is True
    assert {path.name for path in (tmp_path / "table").iterdir()} == {
        *(".run", "cascade.csv", "cascade.png", "config.yaml", "examples.png"),
        *("scores.csv", "table.csv", "table.json", "table.md"),
    }


def test_what_cannot_be_done_is_said_in_a_line(run, phantoms):
    for words, said in (
        (("--methods", "lime"), "methods.0"),
        (("--rows", "test"), "no image to compare maps on"),
        (("--images", 1), "images"),
        (("--rows", "all", "--view", "panoramic"), "no panoramic image; its views are focused"),
    ):
        code, _, err = run("classify", "attribution", ENSEMBLE, phantoms.root, *words)
        assert code == 2
        assert said in err
