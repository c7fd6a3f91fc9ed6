"""An error that the user can fix leaves no run folder behind."""

import pytest

from morphoscope.apps.bundled_models import ENSEMBLE
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
    phantom(tmp_path / "split", per_condition=4, size=32).split(folds=2, seed=0, test_fraction=0).save()
    words = ("--set", "backbone=crossvit_tiny_240", "--set", "weights=none", "--set", "freeze_stages=0")
    code, _, err = run("classify", "train", "split", *words)
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
