"""`generate sign` as a user calls it, and what `generate inspect` says of the result."""

import sys

import numpy as np
import pytest

from morphoscope.cohort import Provenance, write_image
from morphoscope.cohort.marked_files import write_synthetic_image

pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
pytest.importorskip("cryptography")

from certificates import Authority

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
PROVENANCE = Provenance(generator="0123456789abcdef", label={"NF1": 1.0}, seed=3, psi=0.7)


@pytest.fixture
def issued(tmp_path):
    return Authority().issue(tmp_path)


@pytest.fixture
def run(tmp_path):
    """A folder with two marked images, in one of its folders, and a photograph."""
    for name in ("frame000.png", "inside/frame001.png"):
        write_synthetic_image(tmp_path / "run" / name, PIXELS, PROVENANCE)
    write_image(tmp_path / "run/photograph.png", PIXELS)
    return tmp_path / "run"


def words(issued, *files):
    return ["generate", "sign", *files, "--certificate", issued.certificate, "--key", issued.key]


def credentials(command_line, path):
    """What `inspect` says."""
    code, out, _ = command_line("generate", "inspect", path)
    assert code == 0
    return " ".join(out.split()).rpartition("credentials")[2]


def test_a_folder_is_signed(command_line, run, issued):
    before = (run / "photograph.png").read_bytes()
    assert "none" in credentials(command_line, run / "frame000.png")
    code, out, err = command_line(*words(issued, run))
    assert code == 0, err
    out = " ".join(out.split())
    assert "Signed 2 file(s) as Dr Test, Test clinic; left out 1 without the mark of synthesis." in out
    assert (run / "photograph.png").read_bytes() == before
    for name in ("frame000.png", "inside/frame001.png"):
        assert "valid, signed by Dr Test, Test clinic" in credentials(command_line, run / name)


def test_a_changed_file_is_invalid(command_line, run, issued):
    assert command_line(*words(issued, run / "frame000.png"))[0] == 0
    data = (run / "frame000.png").read_bytes()
    write_synthetic_image(run / "other.png", 255 - PIXELS, PROVENANCE)
    other = (run / "other.png").read_bytes()
    start, end = data.find(b"caBX") - 4, data.find(b"tEXt") - 4
    (run / "other.png").write_bytes(other[:33] + data[start:end] + other[33:])  # the other's credentials
    assert "INVALID, by Dr Test, Test clinic: " in credentials(command_line, run / "other.png")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["run/photograph.png"], "photograph.png: no mark of synthesis"),
        (["run/nowhere.png"], "nowhere.png: no such file"),
        (["empty"], "empty: no mark of synthesis"),
        (["run", "run/photograph.png"], "photograph.png: no mark of synthesis"),
    ],
)
def test_what_cannot_be_signed_is_one_line_and_nothing_is_signed(
    command_line, run, issued, tmp_path, files, message
):
    (tmp_path / "empty").mkdir()
    before = (run / "frame000.png").read_bytes()
    code, _, err = command_line(*words(issued, *(tmp_path / file for file in files)))
    assert code == 2 and message in " ".join(err.split())
    assert (run / "frame000.png").read_bytes() == before


def test_a_key_with_a_password_is_refused_without_a_terminal(command_line, run, tmp_path, monkeypatch):
    issued = Authority().issue(tmp_path, password=b"secret")
    code, _, err = command_line(*words(issued, run))
    assert code == 2 and "password" in err


def test_without_the_extra(command_line, run, issued, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    code, _, err = command_line(*words(issued, run))
    assert code == 2 and "pip install 'morphoscope[c2pa]'" in " ".join(err.split())
    assert "not checked" in credentials(command_line, run / "frame000.png")
