"""Morphs, loops and sheets as files, all marked."""

import json
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.cohort.marked_files import file_provenance, read_provenance
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
from morphoscope.generate.latents import End, LatentPath, ProjectedPhotograph, paths, write_photograph
from morphoscope.generate.latents.parsing import parse_ends
from morphoscope.generate.model import file_digest
from morphoscope.generate.morph_files import write_loop, write_morph
from morphoscope.generate.rendering import render


@pytest.fixture(scope="module")
def model():
    return load(GENERATOR)


def provenance_of(path):
    with Image.open(path) as image:
        return read_provenance(image)


def test_a_morph_with_films(model, tmp_path):
    settings = Morphing(steps=5, way="both", film="both", seed=4)
    written = write_morph(model, tmp_path, parse_ends(["NF1", "TSC:5"], model, 4), settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"frame{index:03d}.png" for index in range(5)), "morph.gif", "morph.json", "morph.mp4", "strip.png"
    ]  # fmt: skip
    path = LatentPath(End(4, {"NF1": 1.0}), End(5, {"TSC": 1.0}), "both")
    for index, label, seed in (
        (0, {"NF1": 1.0}, 4),
        (2, {"NF1": 0.5, "TSC": 0.5}, None),
        (4, {"TSC": 1.0}, 5),
    ):
        expected = model.provenance(label, seed, 0.7).model_copy(update={"paths": [path.mark([index / 4])]})
        assert provenance_of(tmp_path / f"frame{index:03d}.png") == expected
    sheet = model.provenance(psi=0.7).model_copy(update={"paths": [path.mark([0, 0.25, 0.5, 0.75, 1])]})
    assert provenance_of(written.sheet) == sheet
    for name in ("morph.mp4", "morph.gif"):
        assert file_provenance((tmp_path / name).read_bytes()) == sheet
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
    assert report["legs"][0]["path"]["ends"][1] == {"seed": 5, "label": {"TSC": 1.0}, "directions": []}


def test_morphs_of_a_photograph_are_patient_data(model, tmp_path):
    photograph = ProjectedPhotograph(
        "ab12", model.digest, "w", {"NF1": 1.0}, model.G.mapping.w_avg.repeat(10, 1)
    )
    write_photograph(tmp_path / "end.safetensors", photograph)
    settings = Morphing(steps=3, way="w", film="gif")
    ends = parse_ends([str(tmp_path / "end.safetensors"), "TSC:5"], model, 0)
    written = write_morph(model, tmp_path / "morph", ends, settings)
    marks = [provenance_of(tmp_path / f"morph/frame00{index}.png") for index in range(3)]
    assert [mark.parents for mark in marks] == [["ab12"], ["ab12"], None]
    assert [mark.psi for mark in marks] == [None, 0.7, 0.7]  # photographs are not truncated
    assert {mark.paths[0].ends[0].projection for mark in marks} == {file_digest(tmp_path / "end.safetensors")}
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
    write_morph(model, tmp_path, parse_ends(["NF1", "TSC"], model, 4), Morphing(steps=3, way="w", seed=4))
    middle, last = (provenance_of(tmp_path / f"frame00{index}.png") for index in (1, 2))
    assert (middle.label, middle.seed) == (None, None) and (last.label, last.seed) == ({"TSC": 1.0}, 4)
    assert middle.paths == [LatentPath(End(4, {"NF1": 1.0}), End(4, {"TSC": 1.0}), "w").mark([0.5])]


def test_a_direction_is_no_plain_seed(model, tmp_path):
    write_morph(model, tmp_path, parse_ends(["NF1", "NF1@1=2"], model, 0), Morphing(steps=2))
    assert provenance_of(tmp_path / "frame000.png").seed == 0
    assert provenance_of(tmp_path / "frame001.png").seed is None


def test_a_loop_has_no_seam(model, tmp_path):
    write_loop(model, tmp_path, parse_ends(["NF1", "TSC", "IP"], model, 0), Looping(steps=2, film="gif"))
    frames = sorted(tmp_path.glob("frame*.png"))
    assert len(frames) == 6
    assert [provenance_of(path).label for path in frames[::2]] == [{"NF1": 1.0}, {"TSC": 1.0}, {"IP": 1.0}]
    assert provenance_of(frames[5]).label == {"NF1": 0.5, "IP": 0.5}
    with pytest.raises(UserError, match="two ends"):
        write_loop(model, tmp_path, parse_ends(["NF1"], model, 0), Looping())


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
        mark = provenance_of(path)
        assert mark.generator == model.digest, name
        rows = {"grid": 2, "directions": 2, "axes": 6}.get(name, 0)
        assert len(mark.paths or []) == rows, name
    middle = sheets["directions"].strips[0].images[1].astype(int)
    np.testing.assert_allclose(middle, model.sample("NF1", [0])[0].astype(int), atol=1)
    assert [strip.name for strip in sheets["axes"].strips][:2] == ["@NF1>HMI", "@NF1>IP"]


def test_axes_begin_at_one_condition(model):
    with pytest.raises(UserError, match="one condition"):
        direction_sheet(model, "50% NF1 + 50% TSC", DirectionDrawing(axes=True))


def test_a_grid_with_seeds_out_of_range(model):
    with pytest.raises(UserError, match="4294967295"):
        grid_sheet(model, "NF1", "TSC", GridDrawing(seed=2**32 - 1, count=2))


class Stopped:
    """Counts the generated images; stops the program, as Ctrl-C does, after some of them."""

    def __init__(self, monkeypatch, after=None):
        self.images, self._after = 0, after
        monkeypatch.setattr(paths, "render", self)

    def __call__(self, network, codes):
        if self._after is not None and self.images >= self._after:
            raise KeyboardInterrupt
        self.images += len(codes)
        return render(network, codes)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("even", [False, True])
def test_a_stopped_morph_ends_with_the_same_files(model, tmp_path, monkeypatch, even):
    settings = Morphing(steps=20, even=even)
    whole, folder = tmp_path / "whole", tmp_path / "stopped"
    with monkeypatch.context() as patch:
        total = Stopped(patch)
        write_morph(model, whole, parse_ends(["NF1", "TSC"], model, 0), settings)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Stopped(patch, total.images - 4)
        write_morph(model, folder, parse_ends(["NF1", "TSC"], model, 0), settings)
    assert len(list(folder.glob("frame*.png"))) == 16
    again = Stopped(monkeypatch)
    write_morph(model, folder, parse_ends(["NF1", "TSC"], model, 0), settings)
    assert again.images == 4
    assert contents(folder) == contents(whole)


def test_frames_of_other_marks_or_damaged_ones_are_generated_again(model, tmp_path, monkeypatch):
    write_morph(model, tmp_path, parse_ends(["NF1", "TSC"], model, 0), Morphing(steps=4))
    expected = contents(tmp_path)
    (tmp_path / "frame001.png").write_bytes(expected["frame001.png"][:300])
    (tmp_path / "frame002.png").write_bytes(expected["frame001.png"])
    (tmp_path / "morph.json").write_text("[")
    again = Stopped(monkeypatch)
    write_morph(model, tmp_path, parse_ends(["NF1", "TSC"], model, 0), Morphing(steps=4))
    assert again.images == 2
    assert contents(tmp_path) == expected


def test_a_stopped_loop_keeps_the_places_of_its_legs(model, tmp_path, monkeypatch):
    settings = Looping(steps=4, even=True, film="none")
    with monkeypatch.context() as patch:
        total = Stopped(patch)
        write_loop(model, tmp_path / "whole", parse_ends(["NF1", "TSC"], model, 0), settings)
    first_leg = (total.images - 8) // 2  # there and back are about equal
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Stopped(patch, first_leg + 5)
        write_loop(model, tmp_path / "loop", parse_ends(["NF1", "TSC"], model, 0), settings)
    report = json.loads((tmp_path / "loop/morph.json").read_text())
    assert len(report["legs"]) == 1
    counted = Stopped(monkeypatch)
    write_loop(model, tmp_path / "loop", parse_ends(["NF1", "TSC"], model, 0), settings)
    assert contents(tmp_path / "loop") == contents(tmp_path / "whole")
    assert counted.images % 5 == 3  # the places of one leg, five at a time, and the eight frames
