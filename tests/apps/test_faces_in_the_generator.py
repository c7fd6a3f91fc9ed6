"""Faces through the generator: imported, aligned, trained on, morphed, and refused where they would leak."""

from pathlib import Path

import pytest
from phantom_faces import photograph

from morphoscope.cohort import Cohort, write_image
from morphoscope.generate import load

TINY = (
    "resolution=32 z_dim=8 w_dim=8 channel_base=128 channel_max=8 batch=4 mbstd_group=2 tick_kimg=0.008 "
    "kimg=0.008 metric_network=null view=face"
)
TINY_CLASSIFIER = "backbone=test_efficientnet resolution=32 weights=none freeze_stages=0 epochs=1 batch=4"


def settings(text: str) -> list[str]:
    return [word for setting in text.split() for word in ("--set", setting)]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per condition, in it one per person."""
    root = tmp_path_factory.mktemp("photographs")
    for person in range(8):
        write_image(root / f"s{person % 2}" / f"p{person}" / "front.png", photograph(person))
    return root


def test_from_photographs_to_a_morph(command_line, photographs: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        code, out, err = command_line(*words)
        assert code == 0, err
        return str(out)

    run("cohort", "import", "folder", photographs, "faces", "--view", "face")
    run("cohort", "split", "faces", "--folds", "2", "--test", "0")
    out = run("gestalt", "align", "faces", "aligned", "--size", "32")
    assert "8 aligned faces of 32 px" in out and "--set view=face" in out
    folds = Cohort.load(Path("faces")).rows.set_index("file")["fold"]
    aligned = Cohort.load(Path("aligned")).rows
    assert aligned["fold"].tolist() == folds[aligned["original"]].tolist()
    run("generate", "train", "aligned", "--run", "run", "--exclude-folds", "1", *settings(TINY))
    snapshot = max(Path("run").glob("snapshot-*.safetensors"))
    model = load(snapshot)
    assert model.metadata.view == "face" and model.metadata.trained_on_folds == ["0"]
    run("generate", "morph", snapshot, "s0", "s1", "--seed", "1", "--steps", "3", "--run", "morph")
    run("generate", "augment", snapshot, "synthetic", "--per-condition", "2")
    synthetic = Cohort.load(Path("synthetic")).rows
    assert set(synthetic["view"]) == {"face"}
    words = ("classify", "train", "aligned", "--synthetic", "synthetic", "--run", "ensemble")
    code, _, err = command_line(*words, *settings(TINY_CLASSIFIER))
    assert code == 2 and "leak" in err
