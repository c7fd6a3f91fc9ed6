"""Files as people have them, on the command line: one line before anything is copied, or the next step."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morphoscope.cohort import Cohort


def write_photos(root: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def test_each_command_names_the_next(tmp_path: Path, command_line, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(Path("photos"), *(f"{name}/{number}.png" for name in ("mel", "nv") for number in range(4)))
    write_photos(Path("splits"), *(f"{name}/mel/{name}.png" for name in ("train", "val", "test")))
    code, out, _ = command_line("cohort", "import", "folder", "photos", "my cohort")
    assert code == 0 and "Next: morphoscope cohort check 'my cohort'" in out
    _, out, _ = command_line("cohort", "check", "my cohort")
    assert "Next: morphoscope cohort split 'my cohort'\n" in out
    assert command_line("cohort", "split", "my cohort", "--folds", "2", "--test", "0")[0] == 0
    _, out, _ = command_line("cohort", "check", "my cohort")
    assert "Next: morphoscope generate train 'my cohort', or morphoscope classify train 'my cohort'" in out
    assert command_line("cohort", "import", "folder", "splits", "c")[0] == 2
    assert command_line("cohort", "import", "folder", "splits", "c", "--split-folders")[0] == 0
    _, out, _ = command_line("cohort", "check", "c")
    assert "Next: morphoscope cohort split c --test 0" in out


@pytest.fixture
def in_c_locale(tmp_path: Path):
    """in_c_locale(words) -> (exit code, stdout, stderr) of a command under a locale that only knows ASCII."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment.pop("PYTHONIOENCODING", None)

    def call(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "morphoscope.apps", "cohort", *words]
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
        return run.returncode, run.stdout.decode(), run.stderr.decode()

    return call


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such locale")
@pytest.mark.parametrize("layout", ["folder", "csv", "zip", "dataset-json"])
def test_emoji_under_a_locale_without_them(tmp_path: Path, in_c_locale, layout: str) -> None:
    write_photos(tmp_path / "in", "mel/\U0001f600.png", "nv/a.png")
    source = "in"
    if layout == "csv":
        (tmp_path / "in/t.csv").write_text("file,condition\n\U0001f600.png,mel\na.png,nv\n", encoding="utf-8")
    if layout == "dataset-json":
        (tmp_path / "in/dataset.json").write_text(
            '{"labels": [["mel/\U0001f600.png", 0], ["nv/a.png", 1]]}', "utf-8"
        )
    if layout == "zip":
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            for path in (tmp_path / "in").rglob("*.png"):
                archive.write(path, path.relative_to(tmp_path / "in").as_posix())
        source, layout = "in.zip", "folder"
    before = sorted(tmp_path.iterdir())
    code, _, error = in_c_locale("import", layout, source, "out")
    assert code == 2
    assert len(error.strip().splitlines()) == 1 and "PYTHONUTF8=1" in error
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such locale")
def test_a_cohort_with_emoji_under_a_locale_without_them(tmp_path: Path, in_c_locale, command_line) -> None:
    names = [f"{name}/\U0001f600{number}.png" for name in ("mel", "nv") for number in range(3)]
    write_photos(tmp_path / "in", *names)
    cohort = tmp_path / "cohort\U0001f600"
    assert command_line("cohort", "import", "folder", str(tmp_path / "in"), str(cohort))[0] == 0
    code, _, error = in_c_locale("split", str(cohort), "--folds", "2", "--test", "0.3")
    assert "Traceback" not in error and code == 0
    code, out, error = in_c_locale("check", str(cohort))
    assert "Traceback" not in error and code == 2
    assert "PYTHONUTF8=1" in out
    Cohort.load(cohort).select([0, 1]).save_as(tmp_path / "a.zip")
    Cohort.load(cohort).select([2, 3]).save_as(tmp_path / "b.zip")
    code, _, error = in_c_locale("join", "a.zip", "b.zip", "both")
    assert code == 2 and len(error.strip().splitlines()) == 1 and "PYTHONUTF8=1" in error
    assert not (tmp_path / "both").exists()
