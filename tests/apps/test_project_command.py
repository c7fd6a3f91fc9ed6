"""`morphoscope generate project` as a user calls it."""

import json

import numpy as np
import pytest
from PIL import Image

from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR

QUICK = ["candidates=2", "starts=2", "search_steps=1", "w_steps=1", "tuning_steps=1", "morph_steps=2"]


@pytest.fixture
def photograph(tmp_path):
    """On its side, as a telephone stores it."""
    path = tmp_path / "jane-doe.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_a_photograph_is_projected(command_line, photograph, tmp_path):
    words = ["generate", "project", GENERATOR, photograph, "--run", tmp_path / "run", "--to", "NF1"]
    words += ["--ensemble", ENSEMBLE, *(word for setting in QUICK for word in ("--set", setting))]
    code, out, err = command_line(*words)
    assert code == 0, err
    assert "jane-doe.jpg: 100%" in out
    assert "patient data" in out
    (found,) = (tmp_path / "run").glob("*/projection.json")
    result = json.loads(found.read_text())
    assert list(result["ensemble"]) == ["photograph", "projection", "to NF1"]
    assert sum(result["ensemble"]["projection"].values()) == pytest.approx(1, abs=1e-4)
    texts = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not any(b"jane" in text for text in texts)
    assert "phantom-generator.safetensors IMAGE --run" in (tmp_path / "run/config.yaml").read_text()
    before = found.stat().st_mtime_ns
    assert command_line(*words)[0] == 0  # nothing is left to do
    assert found.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--condition", "psoriasis"], "psoriasis"),
        (["--to", "psoriasis"], "psoriasis"),
        (["--space", "z"], "space"),
        (["--network", "nowhere.pth"], "nowhere.pth"),
        (["--cohort", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_leaves_nothing(command_line, photograph, tmp_path, words, message):
    code, _, err = command_line(
        "generate", "project", GENERATOR, photograph, "--run", tmp_path / "run", *words
    )
    assert code == 2
    assert message in err
    assert not (tmp_path / "run").exists()


def test_what_is_no_photograph_is_named(command_line, photograph, tmp_path):
    (tmp_path / "text.png").write_text("text")
    code, _, err = command_line("generate", "project", GENERATOR, photograph, tmp_path / "text.png")
    assert code == 2
    assert "text.png" in err
