"""A run folder holds one run, and an error that the user can fix leaves none behind."""

from itertools import pairwise

import pytest

from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.cohort import Cohort, phantom


@pytest.fixture
def unsplit(tmp_path):
    return phantom(tmp_path / "phantoms", per_condition=2, size=32)


@pytest.fixture
def strange(unsplit, tmp_path):
    """A condition that the bundled ensemble does not know."""
    cohort = Cohort.from_rows(unsplit.root, unsplit.rows.assign(condition="violet"))
    cohort.save()
    return cohort


@pytest.fixture
def run(tmp_path, monkeypatch, command_line):
    monkeypatch.chdir(tmp_path)
    return command_line


def left_behind(tmp_path):
    return list((tmp_path / "runs").glob("*"))


def test_train(run, unsplit, tmp_path):
    code, _, err = run("classify", "train", unsplit.root)
    assert code == 2 and "cohort split" in err and not left_behind(tmp_path)
    code, _, err = run("classify", "train", unsplit.root, "--auxiliary", tmp_path / "absent")
    assert code == 2 and "absent" in err and not left_behind(tmp_path)


def test_a_backbone_that_cannot_be_had_is_told_before_images_are_resized(run, tmp_path):
    phantom(tmp_path / "split", per_condition=6, size=32).split(folds=3, seed=0, test_fraction=0).save()
    words = ("--set", "backbone=crossvit_tiny_240", "--set", "weights=none", "--set", "freeze_stages=0")
    for nested in ((), ("--nested",)):
        code, _, err = run("classify", "train", "split", *words, *nested)
        assert code == 2 and "crossvit_tiny_240" in err and not left_behind(tmp_path)
    assert not (tmp_path / "split" / ".cache").exists()


def test_a_place_that_cannot_be_written_is_told_before_the_work(run, strange, tmp_path):
    (tmp_path / "file").write_text("")
    for command in ("attribution", "evaluate"):
        code, _, err = run("classify", command, ENSEMBLE, strange.root, "--rows", "all", "--run", "file")
        assert code == 2 and "the run folder cannot be created" in err, command
    assert run("classify", "evaluate", ENSEMBLE, strange.root, "--rows", "all")[0] == 2
    assert not left_behind(tmp_path)


def test_attribution(run, strange, tmp_path):
    code, _, err = run("classify", "attribution", ENSEMBLE, strange.root, "--rows", "all")
    assert code == 2 and "does not know violet" in err and not left_behind(tmp_path)


def test_one_rule_for_every_command(run, tmp_path):
    """Into the folder of another run: refused in one line, with what differs, or by --overwrite replaced."""
    phantoms = phantom(tmp_path / "phantoms", per_condition=2, size=32)
    image = phantoms.root / phantoms.rows["file"].iloc[0]
    few = ("--set", "samples=1", "--steps", "2")
    commands = {
        "generate sample": (GENERATOR, "--condition", "NF1", "--count", 1),
        "generate morph": (GENERATOR, "NF1", "TSC", "--steps", 2),
        "classify explain": (ENSEMBLE, image, "--method", "gradcam", *few),
        "classify evaluate": (ENSEMBLE, phantoms.root, "--rows", "all"),
    }
    written: dict[str, set[str]] = {}
    earlier = "classify evaluate"
    assert run(*earlier.split(), *commands[earlier], "--run", "one")[0] == 0
    for name, words in commands.items():
        if name != earlier:
            code, _, err = run(*name.split(), *words, "--run", "one")
            assert code == 2 and f"it is a run of `{earlier}`, not of `{name}`" in err, name
            assert "--overwrite" in err and len(err.splitlines()) == 1, name
        code, _, err = run(*name.split(), *words, "--run", "one", "--overwrite")
        assert code == 0 and "of the earlier run: config.yaml" in err, name
        written[name] = {path.name for path in (tmp_path / "one").iterdir()} - {".run", "config.yaml"}
        before = {path: path.stat().st_size for path in (tmp_path / "one").rglob("*.png")}
        assert run(*name.split(), *words, "--run", "one")[0] == 0, name  # the same again
        assert {path: path.stat().st_size for path in (tmp_path / "one").rglob("*.png")} == before
        earlier = name
    names = list(written.values())
    assert all(first & second <= {"report.html", "probabilities.csv"} for first, second in pairwise(names))
    assert run("generate", "sample", GENERATOR, "--run", "phantoms")[0] == 2
    assert (phantoms.root / "manifest.csv").exists()
