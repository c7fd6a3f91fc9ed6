"""Every reader refuses what is not a file in one line, at once, whatever stands where the file should be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hostile.limits import at_most
from hostile.special_files import KINDS, endless_device, folder, links_in_a_circle, named_pipe
from morphoscope.classify import Ensemble
from morphoscope.classify.survey.building import Surveys
from morphoscope.cohort import Cohort, import_csv, import_folder, read_image
from morphoscope.cohort.spreadsheet import read_csv
from morphoscope.configs import UserError
from morphoscope.configs.loading import read_yaml
from morphoscope.generate import load
from morphoscope.generate.sheets import UNREADABLE, read_sheet
from morphoscope.generate.training.records import read_lines
from morphoscope.runtime.torch_checkpoints import read_checkpoint, read_state
from morphoscope.runtime.torch_offline_weights import read_weights

READERS: dict[str, Callable[[Path], object]] = {
    "image": read_image,
    "settings": read_yaml,
    "zip or table": Cohort.load,
    "answers": lambda path: read_csv(path, 2**20),
    "checkpoint": lambda path: read_checkpoint(path, "generator"),
    "state": read_state,
    "weights": read_weights,
    "generator": load,
    "ensemble": Ensemble.load,
    "table for import": lambda path: import_csv(path.rename(path.with_suffix(".csv")), path.parent / "out"),
}


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None], reader: str) -> None:
    path = tmp_path / "file.img"
    make(path)
    with at_most(20), pytest.raises(UserError) as error:
        READERS[reader](path)
    assert "file" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("make", KINDS)
def test_import_names_it_among_the_photographs(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A folder is none of the files of its parent, and is empty."""
    source = tmp_path / "in" / "NF1"
    source.mkdir(parents=True)
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(source / "a.png")
    make(source / "b.png")
    with at_most(20):
        if make is folder:
            assert len(import_folder(tmp_path / "in", tmp_path / "out")) == 1
            return
        with pytest.raises(UserError, match=r"NF1/b\.png: (a named pipe|a link to outside|cannot|no such)"):
            import_folder(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("make", [named_pipe, endless_device, links_in_a_circle])
def test_in_a_cohort_and_its_folders(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text("file,condition\na.png,NF1\n")
    with at_most(20):
        cohort = Cohort.load(tmp_path)
        assert not cohort.check().ok
        with pytest.raises(UserError, match=r"a\.png"):
            cohort.image(0)
    (tmp_path / "manifest.csv").unlink()
    make(tmp_path / "manifest.csv")
    with at_most(20), pytest.raises(UserError, match=r"manifest\.csv"):
        Cohort.load(tmp_path)


@pytest.mark.parametrize("make", [named_pipe, links_in_a_circle])
def test_in_run_and_survey_folders(tmp_path: Path, make: Callable[[Path], None]) -> None:
    for name in ("fakes000030.png", "stats.jsonl", "survey.json"):
        make(tmp_path / name)
    (tmp_path / "key.csv").write_text("survey,position,view,file,condition,group\n")
    with at_most(20):
        with pytest.raises(UNREADABLE):
            read_sheet(tmp_path / "fakes000030.png")
        with pytest.raises(UserError, match=r"survey\.json"):
            Surveys.load(tmp_path)
        if (tmp_path / "stats.jsonl").exists():
            with pytest.raises(UserError, match=r"stats\.jsonl: a named pipe"):
                read_lines(tmp_path / "stats.jsonl", dict)


def test_a_path_with_a_nul() -> None:
    with pytest.raises(UserError, match="not the name of a file"):
        read_yaml(Path("a\0b.yaml"))
