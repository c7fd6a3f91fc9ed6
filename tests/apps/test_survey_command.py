"""`classify survey` as a user runs it: build, answer, analyse."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from morphoscope.apps import cli
from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.cohort import Cohort, phantom
from morphoscope.configs.classifier import EnsembleTraining


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Cohort:
    """Phantoms whose second images stand for the panoramic view; half the patients are for testing."""
    drawn = phantom(tmp_path_factory.mktemp("survey") / "phantoms", per_condition=8, size=32)
    rows = drawn.rows.copy()
    rows["view"] = ["focused", "panoramic"] * (len(rows) // 2)
    rows["fold"] = ["test", "test", "0", "0"] * (len(rows) // 4)
    Cohort.from_rows(drawn.root, rows).save()
    return Cohort.load(drawn.root)


@pytest.fixture(scope="module")
def ensemble(cohort: Cohort) -> Path:
    """Untrained, as if trained on the cohort's fold 0."""
    config = EnsembleTraining(
        backbone="test_efficientnet", resolution=32, weights="none", epochs=1, batch=4, learning_rate=1e-3
    )
    torch.manual_seed(0)
    model = ConditionClassifier(config, len(cohort.conditions))
    path = cohort.root.parent / "ensemble.safetensors"
    metadata = EnsembleMetadata(
        cohort_digest=cohort.digest, config=config, conditions=cohort.conditions, folds=["0"]
    )
    Ensemble(metadata, {"0": model}).save(path)
    return path


def call(monkeypatch, *words) -> int:
    """Exit code of one command line."""
    monkeypatch.setattr(sys, "argv", ["morphoscope", "classify", "survey", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def test_build_answer_analyse(cohort, ensemble, tmp_path, monkeypatch, capsys):
    folder, run = tmp_path / "set", tmp_path / "run"
    assert (
        call(monkeypatch, "build", cohort.root, folder, "--surveys", 3, "--per-condition", 1, "--seed", 5)
        == 0
    )
    out = capsys.readouterr().out
    assert "3 surveys of 14 images each (7 conditions)" in out and "each shown 1 to 2 times" in out
    assert len(list((folder / "forms").glob("survey-*.html"))) == 3

    key, facts = pd.read_csv(folder / "key.csv"), json.loads((folder / "survey.json").read_text())
    answers = tmp_path / "answers"
    answers.mkdir()
    for survey, page in key.groupby("survey"):
        sheet = page[["survey", "position", "view"]].assign(answer=page["condition"], set=facts["name"])
        sheet = sheet.assign(participant=f"p{survey}", specialty="dermatology", years="", confidence="")
        sheet.assign(saved="2026-05-01T12:00:00Z").to_csv(answers / f"{survey}.csv", index=False)

    words = ("analyse", folder, answers, "--ensemble", ensemble, "--cohort", cohort.root, "--run", run)
    assert call(monkeypatch, *words, "--device", "cpu", "--set", "replicates=100") == 0
    out = capsys.readouterr().out
    assert "participants: 3" in out and "clinicians 1.000" in out
    assert "replicates: 100" in (run / "config.yaml").read_text()
    assert (run / "report.html").exists()
    assert json.loads((run / "analysis.json").read_text())["counts"]["answers"] == 42


def test_training_on_the_pictures_is_one_line(cohort, ensemble, tmp_path, monkeypatch, capsys):
    """An ensemble of another split may have seen them."""
    folder = tmp_path / "set"
    assert call(monkeypatch, "build", cohort.root, folder, "--surveys", 1, "--per-condition", 1) == 0
    key, facts = pd.read_csv(folder / "key.csv"), json.loads((folder / "survey.json").read_text())
    sheet = key[["survey", "position", "view"]].assign(
        answer=key["condition"], set=facts["name"], participant="p"
    )
    sheet = sheet.assign(specialty="other", years="", confidence="", saved="2026-05-01T12:00:00Z")
    sheet.to_csv(tmp_path / "a.csv", index=False)
    other = Ensemble.load(ensemble)
    other.metadata = other.metadata.model_copy(update={"cohort_digest": "0" * 16})
    other.save(tmp_path / "other.safetensors")
    words = ("--ensemble", tmp_path / "other.safetensors", "--cohort", cohort.root, "--run", tmp_path / "run")
    assert call(monkeypatch, "analyse", folder, tmp_path / "a.csv", *words, "--device", "cpu") == 2
    assert "that the ensemble was trained on" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    # Said to be of other patients, it is believed as far as its file does not know better.
    words = ("analyse", folder, tmp_path / "a.csv", *words, "--device", "cpu", "--rows", "all")
    assert call(monkeypatch, *words) == 0
    other.metadata = other.metadata.model_copy(update={"seen_images": cohort.image_hashes[:2]})
    other.save(tmp_path / "other.safetensors")
    capsys.readouterr()
    assert call(monkeypatch, *words) == 2
    assert "other.safetensors has another content" in capsys.readouterr().err
    assert call(monkeypatch, *words, "--overwrite") == 2
    assert "trained or validated on 2 of these images" in capsys.readouterr().err


def test_power_is_told_before_surveys_are_built(monkeypatch, capsys):
    words = ("power", "--difference", 0.5, "--deviation", 1.0)
    assert call(monkeypatch, *words, "--surveys", 34) == 0
    out = capsys.readouterr().out
    assert "34 surveys for a power of 80%" in out and "34 surveys have a power of 80.8%" in out
    assert call(monkeypatch, "power", "--difference", 0, "--deviation", 1) == 2
    assert "a difference other than 0 and a power" in capsys.readouterr().err
