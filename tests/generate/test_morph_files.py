"""Morphs, loops and sheets as files, all marked."""

import json
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.cohort.provenance import read_provenance
from morphoscope.configs import UserError
from morphoscope.configs.morphs import (
    DirectionDrawing,
    GridDrawing,
    Looping,
    Morphing,
    StyleMixing,
    TriangleDrawing,
)
from morphoscope.generate import load
from morphoscope.generate.end_sheets import direction_sheet, grid_sheet, mixing_sheet, triangle_sheet
from morphoscope.generate.latents import ProjectedPhotograph, write_photograph
from morphoscope.generate.morph_files import write_loop, write_morph


@pytest.fixture(scope="module")
def model():
    return load(GENERATOR)


def provenance_of(path):
    with Image.open(path) as image:
        return read_provenance(image)


def test_a_morph_with_films(model, tmp_path):
    written = write_morph(model, tmp_path, "NF1", "TSC:5", Morphing(steps=5, way="both", film="both", seed=4))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"frame{index:03d}.png" for index in range(5)), "morph.gif", "morph.json", "morph.mp4", "strip.png"
    ]  # fmt: skip
    assert provenance_of(tmp_path / "frame000.png") == model.provenance({"NF1": 1.0}, 4, 0.7)
    assert provenance_of(tmp_path / "frame002.png") == model.provenance({"NF1": 0.5, "TSC": 0.5}, None, 0.7)
    assert provenance_of(tmp_path / "frame004.png") == model.provenance({"TSC": 1.0}, 5, 0.7)
    assert provenance_of(written.sheet) == model.provenance(psi=0.7)
    with Image.open(tmp_path / "frame004.png") as image:
        expected = model.sample("TSC", [5])[0]
        np.testing.assert_allclose(np.asarray(image).astype(int), expected.astype(int), atol=1)
    with Image.open(tmp_path / "morph.gif") as film:
        assert film.n_frames == 5 and b"Synthetic" in film.info["comment"]
        shown = film.convert("RGB")
        assert shown.width == 384 and shown.height > 384  # the printed mark is below the frame
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "morph.mp4"), "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, text=True).stderr
    assert "SYNTHETIC images: NF1 to TSC:5" in told and "frame=    5" in told
    report = json.loads((tmp_path / "morph.json").read_text())
    assert report["legs"][0]["sources"][1] == {"seed": 5, "label": {"TSC": 1.0}, "directions": {}}


def test_morphs_of_a_photograph_are_patient_data(model, tmp_path):
    photograph = ProjectedPhotograph(
        "ab12", model.digest, "w", {"NF1": 1.0}, model.G.mapping.w_avg.repeat(10, 1)
    )
    write_photograph(tmp_path / "end.safetensors", photograph)
    settings = Morphing(steps=3, way="w", film="gif")
    written = write_morph(model, tmp_path / "morph", str(tmp_path / "end.safetensors"), "TSC:5", settings)
    marks = [provenance_of(tmp_path / f"morph/frame00{index}.png") for index in range(3)]
    assert [mark.parents for mark in marks] == [["ab12"], ["ab12"], None]
    assert provenance_of(written.sheet).parents == ["ab12"]
    with Image.open(tmp_path / "morph/morph.gif") as film:
        assert b"patient data" in film.info["comment"]
    report = (tmp_path / "morph/morph.json").read_text()
    assert json.loads(report)["ends"] == ["photograph ab12:NF1", "TSC:5"]
    assert str(tmp_path) not in report  # the path of the file may name a patient
    corners = [str(tmp_path / "end.safetensors"), "TSC", "ML"]
    sheet = triangle_sheet(model, corners, TriangleDrawing(side=2, way="w"))
    assert [strip.name for strip in sheet.strips] == ["100% photograph ab12:NF1", "0% photograph ab12:NF1"]


def test_codes_between_two_ends_have_no_label(model, tmp_path):
    write_morph(model, tmp_path, "NF1", "TSC", Morphing(steps=3, way="w", seed=4))
    assert provenance_of(tmp_path / "frame001.png") == model.provenance(None, None, 0.7)
    assert provenance_of(tmp_path / "frame002.png") == model.provenance({"TSC": 1.0}, 4, 0.7)


def test_a_direction_is_no_plain_seed(model, tmp_path):
    write_morph(model, tmp_path, "NF1", "NF1@1=2", Morphing(steps=2))
    assert provenance_of(tmp_path / "frame000.png").seed == 0
    assert provenance_of(tmp_path / "frame001.png").seed is None


def test_a_loop_has_no_seam(model, tmp_path):
    write_loop(model, tmp_path, ["NF1", "TSC", "IP"], Looping(steps=2, film="gif"))
    frames = sorted(tmp_path.glob("frame*.png"))
    assert len(frames) == 6
    assert [provenance_of(path).label for path in frames[::2]] == [{"NF1": 1.0}, {"TSC": 1.0}, {"IP": 1.0}]
    assert provenance_of(frames[5]).label == {"NF1": 0.5, "IP": 0.5}
    with pytest.raises(UserError, match="two ends"):
        write_loop(model, tmp_path, ["NF1"], Looping())


def test_sheets(model, tmp_path):
    sheets = {
        "grid": grid_sheet(model, "NF1", "TSC", GridDrawing(count=2, steps=3)),
        "triangle": triangle_sheet(model, ["NF1", "TSC", "IP"], TriangleDrawing(side=3)),
        "mix": mixing_sheet(model, ["NF1", "TSC:2"], ["IP:3"], StyleMixing()),
        "directions": direction_sheet(model, "NF1", DirectionDrawing(count=2, steps=3)),
        "axes": direction_sheet(model, "NF1", DirectionDrawing(axes=True, steps=2)),
    }
    counts = {name: [len(strip.images) for strip in sheet.strips] for name, sheet in sheets.items()}
    assert counts == {
        "grid": [3, 3],
        "triangle": [1, 2, 3],
        "mix": [2, 2, 2],
        "directions": [3, 3],
        "axes": [2] * 6,
    }
    for name, sheet in sheets.items():
        path = tmp_path / f"{name}.png"
        sheet.write(path)
        assert provenance_of(path).generator == model.digest, name
    middle = sheets["directions"].strips[0].images[1].astype(int)
    np.testing.assert_allclose(middle, model.sample("NF1", [0])[0].astype(int), atol=1)
    assert [strip.name for strip in sheets["axes"].strips][:2] == ["@NF1>HMI", "@NF1>IP"]


def test_axes_begin_at_one_condition(model):
    with pytest.raises(UserError, match="one condition"):
        direction_sheet(model, "50% NF1 + 50% TSC", DirectionDrawing(axes=True))


def test_a_grid_with_seeds_out_of_range(model):
    with pytest.raises(UserError, match="4294967295"):
        grid_sheet(model, "NF1", "TSC", GridDrawing(seed=2**32 - 1, count=2))
