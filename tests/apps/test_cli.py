"""The command line: the whole chain as a user runs it, small, and what bad input does."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.ops import dispatch
from morphoscope.ops.doctor import Report
from morphoscope.ops.self_test import OpReport

TINY_GENERATOR = (
    "kimg=0.016 batch=4 mbstd_group=2 resolution=16 z_dim=8 w_dim=8 channel_base=128 channel_max=8 "
    "tick_kimg=0.008 snapshot_ticks=2"
)
TINY_CLASSIFIER = "backbone=test_efficientnet resolution=32 weights=none freeze_stages=0 epochs=1 batch=8"


def settings(text):
    return [part for pair in text.split() for part in ("--set", pair)]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture
def run(workplace, monkeypatch, command_line):
    """Run one command line in the workplace; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(workplace)
    return command_line


class TestChain:
    """One chain; each test stands on the files of those before it."""

    def test_cohort(self, run, workplace):
        assert run("cohort", "phantom", "phantoms", "--set", "per_condition=12", "--set", "size=32")[0] == 0
        code, out, _ = run("cohort", "split", "phantoms", "--folds", 2, "--test", 0.34)
        assert code == 0
        assert "TSC" in out
        assert run("cohort", "check", "phantoms")[0] == 0
        manifest = pd.read_csv(workplace / "phantoms" / "manifest.csv", dtype=str)
        assert set(manifest["fold"]) == {"0", "1", "test"}

    def test_generate_train(self, run, workplace):
        command = [
            "generate", "train", "phantoms", "--preset", "cpu64", "--run", "gen", "--exclude-folds", "0",
            *settings(TINY_GENERATOR),
        ]  # fmt: skip
        code, out, _ = run(*command)
        assert code == 0
        assert "snapshot-000000016.safetensors" in out
        assert run(*command)[0] == 0, "the same command again finds its work done"
        assert (workplace / "gen" / "config.yaml").read_text().count("resolution: 16") == 1

    def test_sample_and_morph(self, run, workplace):
        snapshot = "gen/snapshot-000000016.safetensors"
        assert run("generate", "sample", snapshot, "--count", 2, "--condition", "NF1", "--run", "s")[0] == 0
        assert Image.open(workplace / "s" / "NF1" / "seed0001.png").size == (16, 16)
        assert run("generate", "morph", snapshot, "NF1", "TSC", "--steps", 3, "--run", "m")[0] == 0
        assert (workplace / "m" / "strip.png").exists()
        assert run("generate", "morph", snapshot, "NF1", "TSC", "--steps", 3)[0] == 0
        assert (workplace / "runs" / "00000-morph-NF1-TSC" / "config.yaml").exists()

    def test_augment_and_classify(self, run, workplace):
        snapshot = "gen/snapshot-000000016.safetensors"
        assert run("generate", "augment", snapshot, "synthetic", "--per-condition", 2)[0] == 0
        code, _, _ = run(
            "classify", "train", "phantoms", "--synthetic", "synthetic", "--folds", 0, "--run", "cls",
            *settings(TINY_CLASSIFIER),
        )  # fmt: skip
        assert code == 0
        code, out, _ = run("classify", "evaluate", "cls/ensemble.safetensors", "phantoms", "--run", "ev")
        assert code == 0
        assert "95% interval" in out
        metrics = json.loads((workplace / "ev" / "metrics.json").read_text())
        assert 0 <= metrics["balanced_accuracy"]["low"] <= metrics["balanced_accuracy"]["high"] <= 1
        table = pd.read_csv(workplace / "ev" / "probabilities.csv")
        np.testing.assert_allclose(table.filter(like="p_").sum(axis=1), 1, atol=1e-4)

    def test_predict_and_explain(self, run, workplace):
        image = next((workplace / "phantoms" / "images").iterdir())
        code, out, _ = run("classify", "predict", "cls/ensemble.safetensors", image)
        assert code == 0
        assert "NF1" in out
        code, out, _ = run("classify", "explain", "cls/ensemble.safetensors", image, "--run", "ex")
        assert code == 0
        assert "convergence delta" in out
        assert np.load(workplace / "ex" / "map.npy").shape == (32, 32)

    def test_a_leak_is_refused(self, run):
        """Fold 1 was in the generator's training, so its validation may not see the generator's images."""
        code, _, err = run(
            "classify", "train", "phantoms", "--synthetic", "synthetic", "--folds", 1, "--run", "leak",
            *settings(TINY_CLASSIFIER),
        )  # fmt: skip
        assert code == 2
        assert "fold" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cohort", "check", "nowhere"], "nowhere"),
        (["generate", "train", "nowhere", "--preset", "huge"], "Unknown preset 'huge'"),
        (["generate", "train", "nowhere", "--set", "colour=3"], "colour: no such setting"),
        (["generate", "train", "nowhere", "--set", "resolution=100"], "power of two"),
        (["generate", "train", "nowhere", "--config", "absent.yaml"], "absent.yaml"),
        (["generate", "train", "nowhere", "--device", "tpu"], "--device tpu"),
        (["generate", "sample", "absent.safetensors"], "absent.safetensors"),
        (["classify", "predict", "absent.safetensors", "photo.jpg"], "photo.jpg"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_exit_code_2(run, words, says):
    code, out, err = run(*words)
    assert code == 2
    assert err.count("\n") == 1
    assert says in err
    assert "Traceback" not in out + err


class TestDoctor:
    def test_every_operation_is_tested(self, run):
        code, out, err = run("doctor")
        assert code == 0
        assert "Traceback" not in out + err
        for op in ("bias_act", "upfirdn2d", "grid_sample", "modulated_conv2d"):
            assert op in out

    def test_a_broken_compiler_explains_itself(self, run, monkeypatch):
        monkeypatch.setattr(dispatch, "_kernels", {})
        # A call before this one may have found native kernels, and instructions for bfloat16 in them.
        for name in ("cpu_library", "_bfloat16_of_this_cpu"):
            monkeypatch.setattr(dispatch, name, getattr(dispatch, name).__wrapped__)
        monkeypatch.setenv("CXX", "false")
        code, out, _ = run("doctor")
        assert code == 0
        said = " ".join(out.split())
        assert "cpu reference: the compiler 'false' does not compile C++20 with OpenMP" in said
        assert "install g++ 11 or newer" in said

    def test_a_failed_self_test_is_one_line_and_an_exit_code(self, run, monkeypatch):
        wrong = OpReport("bias_act", "cpu", ("bias_act",), difference=0.5)
        monkeypatch.setattr("morphoscope.ops.doctor", lambda: Report([], [], [wrong]))
        code, out, err = run("doctor")
        assert code == 2
        assert "5e-01" in out
        assert err.count("\n") == 1
        assert "Self-test failed for bias_act on cpu" in err


def test_kernels_are_not_announced_by_every_command(run, monkeypatch):
    """They exist by now: an earlier test has used them."""
    monkeypatch.setattr(dispatch, "_kernels", {})
    code, _, err = run("generate", "sample", GENERATOR, "--count", 1, "--device", "cpu", "--run", "said")
    assert code == 0
    assert "kernels" not in err.replace("the native kernels are unavailable", "")
