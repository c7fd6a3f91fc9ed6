"""Many photographs: complete or absent folders, resumed runs, and no names in them."""

import json

import numpy as np
import pytest
from hostile.limits import full_disk
from PIL import Image

from morphoscope.cohort.marked_files import file_provenance
from morphoscope.configs import UserError
from morphoscope.generate.projection import Photograph, project_photographs
from morphoscope.generate.projection.exports import END, FILM, RESULT
from morphoscope.generate.projection.projector import Projector
from morphoscope.runtime import RunFolder
from morphoscope.runtime.files import final_name


@pytest.fixture
def photographs(tmp_path):
    """Two, of other sizes and modes than the model's images."""
    random = np.random.default_rng(1)
    (tmp_path / "photos").mkdir()
    paths = [tmp_path / "photos/jane-doe.jpg", tmp_path / "photos/grey.png"]
    Image.fromarray(random.integers(0, 256, (30, 50, 3)).astype(np.uint8)).save(paths[0])
    Image.fromarray(random.integers(0, 256, (9, 12)).astype(np.uint8)).save(paths[1])
    return [Photograph.read(path, 16) for path in paths]


def test_what_is_written(model, colours, quick, photographs, tmp_path):
    run = RunFolder(tmp_path / "run")

    def opinion(images):
        assert images.shape == (3, 16, 16, 3)  # photograph, projection and one morph's end
        return [{"dark": 0.25, "pale": 0.75}] * len(images)

    folders = project_photographs(model, colours, photographs, run, quick(film=True), (), opinion)
    assert [folder.name for folder in folders] == [one.digest for one in photographs]
    for folder in folders:
        result = json.loads((folder / RESULT).read_text())
        assert result["photograph"] == folder.name
        assert result["network"] == "colours"
        assert list(result["stages"]) == ["search", "w", "tuned"]
        assert list(result["ensemble"])[:2] == ["photograph", "projection"]
        assert "patient data" in result["privacy"]
        assert (folder / FILM).stat().st_size > 0
        assert (folder / END).is_file()
        images = sorted(folder.rglob("*.png"))
        assert len(images) == 3 + 3 + 1  # stages, frames, the sheet
        for path in images:
            mark = file_provenance(path.read_bytes())
            assert mark.parents == [folder.name]
            assert "patient data" in mark.statement
    written = [path.read_bytes() for path in run.path.rglob("*") if path.is_file()]
    assert not any(b"jane" in content for content in written)


def test_a_stopped_run_resumes(model, colours, quick, photographs, tmp_path, monkeypatch):
    run, original = RunFolder(tmp_path / "run"), Projector.project
    seen = []

    def stops_at_the_second(self, photograph, observe=None):
        seen.append(photograph.digest)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return original(self, photograph, observe)

    monkeypatch.setattr(Projector, "project", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt, match="to resume"):
        project_photographs(model, colours, photographs, run, quick())
    first, second = (run.path / one.digest for one in photographs)
    before = (first / RESULT).stat().st_mtime_ns
    assert not second.exists()
    project_photographs(model, colours, photographs, run, quick())
    assert seen == [first.name, second.name, second.name]
    assert (first / RESULT).stat().st_mtime_ns == before
    assert (second / RESULT).is_file()


def test_a_full_disk_leaves_no_projection_that_looks_complete(model, colours, quick, photographs, tmp_path):
    run, chosen = RunFolder(tmp_path / "run"), photographs[:1]
    with full_disk(9_000), pytest.raises(UserError, match="cannot be written"):
        project_photographs(model, colours, chosen, run, quick())
    folder = run.path / chosen[0].digest
    assert not (folder / RESULT).exists()
    assert not any(final_name(path.name) for path in run.path.rglob("*"))  # no temporary files
    project_photographs(model, colours, chosen, run, quick())
    assert (folder / RESULT).is_file()


def test_held_out_distances_are_computed_once(model, colours, quick, photographs, tmp_path, monkeypatch):
    run, original = RunFolder(tmp_path / "run"), Projector.pivot_distance
    seen = []

    def counted(self, photograph, observe=None):
        seen.append(photograph.digest)
        return original(self, photograph, observe)

    monkeypatch.setattr(Projector, "pivot_distance", counted)
    for chosen in (photographs[:1], photographs):
        project_photographs(model, colours, chosen, run, quick(), held_out=photographs[1:])
    assert seen == [photographs[1].digest]
    result = json.loads((run.path / photographs[1].digest / RESULT).read_text())
    assert result["outside"]["held_out"] == 1
