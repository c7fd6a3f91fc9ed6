"""`generate morph | loop | grid | triangle | mix | directions` as a user calls them."""

from pathlib import Path

import pytest
from hostile.limits import full_disk
from PIL import Image

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.cohort import phantom
from morphoscope.cohort.marked_files import read_provenance
from morphoscope.generate import load
from morphoscope.generate.latents import ProjectedPhotograph, write_photograph
from morphoscope.ops.dispatch import bfloat16_by, native_runs
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.runtime.files import final_name
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """A projected photograph in a file that names a patient."""
    model = load(GENERATOR)
    path = tmp_path_factory.mktemp("patients") / "jane-doe.safetensors"
    codes = model.G.mapping.w_avg.repeat(model.G.num_ws, 1)
    write_photograph(path, ProjectedPhotograph("ab12", model.digest, "w", {"NF1": 1.0}, codes))
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["morph", "{end}", "TSC", "--steps", "2"],
        ["loop", "{end}", "{end}:TSC", "--steps", "2", "--film", "none"],
        ["grid", "{end}", "TSC", "--steps", "2", "--count", "1", "--way", "w"],
        ["triangle", "{end}", "TSC", "IP", "--side", "2", "--set", "way=w"],
        ["mix", "--row={end}", "--column", "TSC", "--column", "{end}:IP"],
        ["directions", "{end}@1=2", "--count", "1"],
    ],
    ids=lambda words: words[0],
)
def test_no_file_names_the_photograph(command_line, photograph, tmp_path, words):
    command, *rest = (word.format(end=photograph) for word in words)
    code, _, err = command_line("generate", command, GENERATOR, *rest, "--run", tmp_path / "run")
    assert code == 0, err
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or b"jane" not in path.read_bytes(), path
    assert "photograph ab12:NF1" in (tmp_path / "run/config.yaml").read_text()


def test_another_projection_of_the_photograph_is_another_run(command_line, photograph, tmp_path):
    model = load(GENERATOR)
    other = tmp_path / "other.safetensors"
    codes = 0.5 * model.G.mapping.w_avg.repeat(model.G.num_ws, 1)
    write_photograph(other, ProjectedPhotograph("ab12", model.digest, "w", {"NF1": 1.0}, codes))
    words = ["TSC", "--steps", "2", "--run", tmp_path / "run"]
    assert command_line("generate", "morph", GENERATOR, photograph, *words)[0] == 0
    code, _, err = command_line("generate", "morph", GENERATOR, other, *words)
    assert code == 2 and "another run" in err


@pytest.mark.skipif(not native_runs("cpu", None), reason="no native kernels can be built here")
@pytest.mark.parametrize(
    "words",
    [
        ["sample", "--condition", "NF1", "--count", "1", "--run", "made"],
        ["morph", "NF1", "TSC", "--steps", "2", "--run", "made"],
        ["loop", "NF1", "TSC", "--steps", "2", "--film", "none", "--run", "made"],
        ["grid", "NF1", "TSC", "--steps", "2", "--count", "1", "--run", "made"],
        ["triangle", "NF1", "TSC", "IP", "--side", "2", "--run", "made"],
        ["mix", "--row", "NF1", "--column", "TSC", "--run", "made"],
        ["directions", "NF1", "--count", "1", "--set", "steps=2", "--run", "made"],
        ["augment", "made", "--per-condition", "1"],
    ],
    ids=lambda words: words[0],
)
def test_images_in_bfloat16_record_it(command_line, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    command, *rest = words
    with bfloat16_by(Instructions.EMULATED_AVX512_BF16):
        code, _, err = command_line("generate", command, GENERATOR, *rest, "--precision", "bfloat16")
    assert code == 0, err
    assert "precision: bfloat16" in Path("made/config.yaml").read_text()
    pictures = list(Path("made").rglob("*.png"))
    assert pictures
    for picture in pictures:
        assert " bfloat16-emulated_avx512_bf16 " in read_provenance(Image.open(picture)).execution


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "--condition", "psoriasis"],
        ["morph", "NF1", "psoriasis"],
        ["morph", "NF1", "50% NF1 + 50% psoriasis"],
        ["loop", "NF1", "psoriasis"],
        ["grid", "psoriasis", "NF1"],
        ["triangle", "NF1", "TSC", "psoriasis"],
        ["mix", "--row", "NF1", "--column", "psoriasis"],
        ["directions", "psoriasis"],
        ["directions", "NF1@NF1>psoriasis=1"],
    ],
    ids=" ".join,
)
def test_a_condition_that_the_model_lacks(command_line, tmp_path, words):
    command, *rest = words
    code, _, err = command_line("generate", command, GENERATOR, *rest, "--run", tmp_path / "run")
    assert code == 2 and "psoriasis" in err and "NF1" in err
    assert len(err.strip().splitlines()) <= 3  # one sentence, wrapped
    assert list(tmp_path.iterdir()) == []


MORPH = ["generate", "morph", GENERATOR, "NF1", "TSC", "--steps", "3", "--film", "gif"]


def finished(run):
    """What a run folder holds, without config.yaml, which names the folder."""
    files = (path for path in run.glob("[!.]*") if path.name != "config.yaml")
    return {path.name: path.read_bytes() for path in files}


def test_a_stop_at_any_moment_leaves_whole_files_and_resumes(command_line, tmp_path, monkeypatch):
    assert command_line(*MORPH, "--run", tmp_path / "whole")[0] == 0
    expected = finished(tmp_path / "whole")
    rename = Path.replace
    for moment in range(100):
        run, waiting = tmp_path / f"run{moment}", iter(range(moment))

        def stopping(path, target, waiting=waiting):
            if next(waiting, None) is None:  # as this file is complete, but not yet in its place
                raise KeyboardInterrupt
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", stopping)
            code, _, err = command_line(*MORPH, "--run", run)
        if code == 0:
            break
        assert code == 130
        left = finished(run)
        assert left.items() <= expected.items()
        assert not any(final_name(path.name) for path in run.rglob("*"))  # no temporary files
        if left:
            assert f"finished frames are kept. Re-run the command with --run {run}" in " ".join(err.split())
        assert command_line(*MORPH, "--run", run)[0] == 0
        assert finished(run) == expected
    assert moment > len(expected)


def test_a_disk_that_fills_up_leaves_whole_files_and_resumes(command_line, tmp_path):
    run = tmp_path / "run"
    with full_disk(25_000):  # more than a frame, less than the strip
        code, _, err = command_line(*MORPH, "--run", run)
    assert code == 2 and "strip.png: cannot be written (File too large)" in " ".join(err.split())
    assert sorted(finished(run)) == ["frame000.png", "frame001.png", "frame002.png", "morph.json"]
    kept = (run / "frame001.png").stat().st_mtime_ns
    assert command_line(*MORPH, "--run", run)[0] == 0
    assert (run / "frame001.png").stat().st_mtime_ns == kept


def test_a_snapshot_without_a_discriminator_starts_no_training(command_line, tmp_path):
    tensors, metadata = read_checkpoint(GENERATOR, "generator")
    write_checkpoint(tmp_path / "half.safetensors", "generator", tensors, {**metadata, "discriminator": None})
    phantom(tmp_path / "cohort", per_condition=6, size=64).split(folds=2).save()
    words = ["generate", "train", tmp_path / "cohort", "--start-from", tmp_path / "half.safetensors"]
    code, _, err = command_line(*words, "--run", tmp_path / "run", "--device", "cpu")
    assert code == 2 and "half.safetensors: holds no discriminator" in " ".join(err.split())
    assert not (tmp_path / "run").exists()
