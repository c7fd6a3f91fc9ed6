"""Conditions and files that Rich would read as markup, through every command that prints a name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CONDITIONS = ["NF1 [mild]", "NF1 [severe]", "[/]x", ":smile:"]
FILES = ["lesion[left].png", "lesion[right].png"]
TINY_GENERATOR = [
    "kimg=0.008", "batch=4", "mbstd_group=2", "resolution=16", "z_dim=8", "w_dim=8", "channel_base=128",
    "channel_max=8", "tick_kimg=0.008", "snapshot_ticks=1", "metric_network=null",
]  # fmt: skip
TINY_CLASSIFIER = [
    "backbone=test_efficientnet", "resolution=32", "weights=none", "freeze_stages=0", "epochs=1", "batch=8",
]  # fmt: skip


def settings(pairs):
    return [word for pair in pairs for word in ("--set", pair)]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Photographs of two colours of noise for each condition, eight patients each."""
    folder = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    rows = ["file,condition,group"]
    for k, condition in enumerate(CONDITIONS):
        for i in range(8):
            name = f"{k}{i}[left].png"
            pixels = rng.integers(20 * k, 20 * k + 120, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name)
            rows.append(f"{name},{condition},patient[{k}{i}]")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    for name in FILES:
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def run(workplace: Path, monkeypatch, command_line):
    """Run a command line in the workplace, which must succeed; returns its stdout."""
    monkeypatch.chdir(workplace)

    def call(*words):
        code, out, err = command_line(*words)
        assert code == 0, err
        return out

    return call


class TestChain:
    """One chain; each test needs the files of those before it."""

    def test_import_split_and_check(self, run):
        for out in (
            run("cohort", "import", "csv", "table.csv", "c", "--images", ".", "--allow-unlisted"),
            run("cohort", "split", "c", "--folds", 2, "--test", 0.25),
        ):
            for name in CONDITIONS:
                assert out.count(name) == 1
        out = run("cohort", "check", "c")
        for name in CONDITIONS:
            assert f"'{name}' has 8 groups" in out

    def test_generator(self, run, workplace):
        train = ["generate", "train", "c", "--run", "gen", "--preset", "cpu64", "--exclude-folds", "0, 1"]
        assert "gen/snapshot" in run(*train[:-2], *settings(TINY_GENERATOR))
        snapshot = next((workplace / "gen").glob("snapshot-*.safetensors"))
        out = run("generate", "sample", snapshot, "--condition", CONDITIONS[0], "--count", 1, "--run", "s[1]")
        assert "s[1]" in out
        assert "m[1]" in run("generate", "morph", snapshot, *CONDITIONS[:2], "--steps", 2, "--run", "m[1]")

    def test_training_and_evaluation(self, run):
        train = ["classify", "train", "c", "--run", "cls[1]", "--folds", "0, 1", *settings(TINY_CLASSIFIER)]
        assert "cls[1]/ensemble.safetensors" in run(*train)
        out = run("classify", "evaluate", "cls[1]/ensemble.safetensors", "c", "--run", "ev[1]")
        for name in CONDITIONS:
            assert name in out
        assert "ev[1]" in out

    def test_prediction_and_explanation(self, run):
        out = run("classify", "predict", "cls[1]/ensemble.safetensors", *FILES)
        for name in [*FILES, *CONDITIONS]:
            assert name in out
        out = run(
            "classify", "explain", "cls[1]/ensemble.safetensors", FILES[0], "--condition", CONDITIONS[0]
        )
        assert CONDITIONS[0] in out
