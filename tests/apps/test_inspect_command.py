"""`generate inspect` as a user runs it: what is shown, and an image that is generated again."""

import sys

import numpy as np
import pytest
from PIL import Image

from morphoscope.apps import cli
from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.cohort.marked_files import read_provenance, write_synthetic_image
from morphoscope.generate import load
from morphoscope.generate.latents import ProjectedPhotograph, write_photograph
from morphoscope.ops import backend


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Samples of a batch, with and without the printed mark, and a morph."""
    folder = tmp_path_factory.mktemp("inspect")
    with pytest.MonkeyPatch.context() as patch:
        for words in (
            ("sample", GENERATOR, "--condition", "NF1", "--count", "5", "--run", folder / "plain"),
            (
                "sample",
                GENERATOR,
                "--condition",
                "NF1",
                "--count",
                "1",
                "--printed-mark",
                "--run",
                folder / "marked",
            ),
            ("morph", GENERATOR, "NF1", "TSC", "--steps", "4", "--seed", "7", "--run", folder / "morph"),
            (
                "morph",
                GENERATOR,
                "NF1:7@2=1.5@NF1>TSC=0.5",
                "60% IP + 40% ML:3",
                "--steps",
                "3",
                "--way",
                "both",
                "--interpolation",
                "spherical",
                "--film",
                "both",
                "--run",
                folder / "between",
            ),
            (
                "morph",
                GENERATOR,
                write_end(folder),
                "TSC:5",
                "--steps",
                "3",
                "--way",
                "w",
                "--even",
                "--set",
                "centre=global",
                "--run",
                folder / "photograph",
            ),
        ):
            assert call(patch, *words, "--device", "cpu") == 0
    return folder


def write_end(folder):
    """A projected photograph."""
    model = load(GENERATOR)
    codes = model.G.mapping.w_avg.repeat(model.G.num_ws, 1)
    photograph = ProjectedPhotograph("ab12", model.digest, "w", {"NF1": 1.0}, codes)
    write_photograph(folder / "end.safetensors", photograph)
    return folder / "end.safetensors"


def call(patch, *words):
    """Exit code of one command line."""
    patch.setattr(sys, "argv", ["morphoscope", "generate", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


@pytest.mark.parametrize(
    "file",
    [
        "plain/NF1/seed0003.png",
        "marked/NF1/seed0000.png",
        "morph/frame001.png",
        *(f"between/frame00{index}.png" for index in range(3)),
        *(f"photograph/frame00{index}.png" for index in range(3)),
    ],
)
def test_an_image_is_generated_again_to_the_bit(samples, monkeypatch, capsys, file):
    words = ("inspect", samples / file, "--generator", GENERATOR, "--device", "cpu")
    assert call(monkeypatch, *words, "--photograph", samples / "end.safetensors") == 0
    out = capsys.readouterr().out
    assert "Generated again: the same to the bit." in out
    assert "const" in out and "torch-" in out and load(GENERATOR).digest in out


@pytest.mark.parametrize("file", ["between/morph.mp4", "between/morph.gif", "between/strip.png"])
def test_films_and_strips_say_how_they_were_made(samples, monkeypatch, capsys, file):
    assert call(monkeypatch, "inspect", samples / file) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "100% NF1 seed 7 @2=1.5 @NF1>TSC=0.5 to 60% IP + 40% ML seed 3 by both" in out
    assert load(GENERATOR).digest in out


def test_shares_are_not_rounded(samples):
    provenance = read_provenance(Image.open(samples / "morph/frame001.png"))
    assert provenance is not None and provenance.label == {"NF1": 1 - 1 / 3, "TSC": 1 / 3}


def test_an_image_of_another_execution_differs_by_one_level_at_most(samples, monkeypatch, capsys):
    words = ("inspect", samples / "plain/NF1/seed0003.png", "--generator", GENERATOR, "--device", "cpu")
    with backend("reference"):
        assert call(monkeypatch, *words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "the same to the bit" in out or ("difference is 1 of 255" in out and "another (2 cpu-" in out)


def test_changed_pixels_are_reported(samples, tmp_path, monkeypatch, capsys):
    source = Image.open(samples / "plain/NF1/seed0003.png")
    pixels = np.array(source)
    pixels[0, 0, 0] ^= 0x80
    provenance = read_provenance(source)
    assert provenance is not None
    write_synthetic_image(tmp_path / "changed.png", pixels, provenance)
    assert (
        call(monkeypatch, "inspect", tmp_path / "changed.png", "--generator", GENERATOR, "--device", "cpu")
        == 0
    )
    out = " ".join(capsys.readouterr().out.split())
    assert "difference is 128 of 255" in out and "pixels were changed" in out


def test_what_cannot_be_inspected_is_one_line(samples, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    (tmp_path / "broken.png").write_bytes((samples / "plain/NF1/seed0003.png").read_bytes()[:400])
    other = load(GENERATOR).provenance({"NF1": 1.0}, 0, 0.7).model_copy(update={"generator": "abc"})
    write_synthetic_image(tmp_path / "other.png", np.zeros((64, 64, 3), np.uint8), other)
    cases = {
        (tmp_path / "photo.png",): "carries no mark",
        (tmp_path / "broken.png",): "broken.png",
        (tmp_path / "none.png",): "no such file",
        (tmp_path / "other.png", "--generator", GENERATOR): "by generator abc",
        (samples / "plain/sheet.png", "--generator", GENERATOR): "may be a sheet",
        (samples / "between/morph.mp4", "--generator", GENERATOR): "a film is not generated again",
        (samples / "photograph/frame001.png", "--generator", GENERATOR): "of photograph ab12: give its",
    }
    for words, expected in cases.items():
        assert call(monkeypatch, "inspect", *words) == 2
        err = " ".join(capsys.readouterr().err.split())
        assert expected in err and "Traceback" not in err
