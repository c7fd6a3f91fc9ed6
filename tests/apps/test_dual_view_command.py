"""A dual-view ensemble from the command line: training, evaluation, and prediction of pairs and halves."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs.classifier import EnsembleTraining

TINY = {
    "views": "dual",
    "backbone": "test_efficientnet",
    "weights": "none",
    "freeze_stages": 0,
    "resolution": 32,
    "epochs": 1,
    "batch": 4,
    "patience": 1,
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two conditions x 8 patients, each in both views and every fourth also in a second focused one."""
    root = tmp_path_factory.mktemp("views") / "cohort"
    random = np.random.default_rng(0)
    rows = []
    for condition in ("dark", "pale"):
        for patient in range(8):
            for view in ("focused", "panoramic", *(["focused"] if patient % 4 == 0 else [])):
                file = f"{condition}-{patient}-{len(rows)}.png"
                write_image(root / file, random.integers(1, 256, (40, 48, 3), dtype=np.uint8))
                rows.append(
                    {"file": file, "condition": condition, "group": f"{condition}{patient}", "view": view}
                )
    Cohort.from_rows(root, pd.DataFrame(rows)).split(folds=2, seed=0, test_fraction=0.25).save()
    return Cohort.load(root)


@pytest.fixture(scope="module")
def ensemble(cohort, tmp_path_factory):
    from typer.testing import CliRunner

    from morphoscope.apps.cli import app

    run = tmp_path_factory.mktemp("runs") / "dual"
    settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    found = CliRunner().invoke(
        app, ["classify", "train", str(cohort.root), "--run", str(run), "--device", "cpu", *settings]
    )
    assert found.exit_code == 0, found.output
    return run / "ensemble.safetensors"


def file_of(cohort, view):
    return cohort.root / cohort.rows["file"][cohort.rows["view"] == view].iloc[0]


def test_evaluate_takes_pairs_or_one_view_alone(ensemble, cohort, tmp_path, command_line):
    for view, kind in ((None, "pairs"), ("panoramic", "images")):
        words = [] if view is None else ["--view", view, "--rows", "out_of_fold"]
        code, out, err = command_line(
            "classify", "evaluate", ensemble, cohort.root, "--run", tmp_path / kind, *words
        )
        assert code == 0, err
        metrics = json.loads((tmp_path / kind / "metrics.json").read_text())
        assert metrics["judged"] == kind
        assert f"{metrics['images']} {kind}" in " ".join(out.split())
        chosen = metrics["epoch_chosen_on_these_images"]
        assert chosen == ("these metrics are optimistic" in " ".join(out.split())) == (view is not None)
    assert "partner" in pd.read_csv(tmp_path / "pairs" / "probabilities.csv")
    assert "partner" not in pd.read_csv(tmp_path / "images" / "probabilities.csv")


def test_figures_of_a_last_epoch_are_not_called_too_good(ensemble, cohort, tmp_path, command_line):
    model = Ensemble.load(ensemble)
    config = model.config.model_copy(update={"patience": None})
    model.metadata = model.metadata.model_copy(update={"config": config})
    model.save(tmp_path / "last.safetensors")
    words = ("--rows", "out_of_fold", "--run", tmp_path / "run")
    code, out, err = command_line("classify", "evaluate", tmp_path / "last.safetensors", cohort.root, *words)
    assert code == 0 and "optimistic" not in out, err


def test_predict_takes_pairs_or_photographs_of_one_view(ensemble, cohort, command_line, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    focused, panoramic = file_of(cohort, "focused"), file_of(cohort, "panoramic")
    answers = {}
    for name, words in {
        "both": (focused, "--panoramic", panoramic),
        "left": (focused,),
        "right": ("--panoramic", panoramic),
    }.items():
        code, out, err = command_line("classify", "predict", ensemble, *words)
        assert code == 0, err
        (line,) = [line for line in out.splitlines() if ".png" in line]
        answers[name] = re.findall(r"0\.\d{3}", line)
        assert (focused.name in line, panoramic.name in line) == (name != "right", name != "left")
    model = Ensemble.load(ensemble)
    images = cohort.images(32)
    row = {str(cohort.root / file): number for number, file in enumerate(cohort.rows["file"])}
    expected = model.predict([model.pair(images[row[str(focused)]], images[row[str(panoramic)]])]).combined[0]
    assert answers["both"] == [f"{p:.3f}" for p in expected]


def test_what_is_no_pair_is_refused(ensemble, cohort, tmp_path, command_line):
    config = EnsembleTraining(**{**TINY, "views": "single", "learning_rate": 1e-3})
    metadata = EnsembleMetadata(config=config, conditions=cohort.conditions, folds=["0"])
    Ensemble(metadata, {"0": ConditionClassifier(config, 2)}).save(tmp_path / "single")
    focused, panoramic = file_of(cohort, "focused"), file_of(cohort, "panoramic")
    for words, problem in (
        ((ensemble, focused, focused, "--panoramic", panoramic), "2 focused photographs (IMAGE), but 1 pan"),
        ((ensemble,), "No photograph given"),
        ((tmp_path / "single", "--panoramic", panoramic), "takes single images"),
    ):
        code, _, err = command_line("classify", "predict", *words)
        assert code == 2 and problem in " ".join(err.split())


def test_explain_maps_both_photographs(ensemble, cohort, tmp_path, command_line):
    focused, panoramic = file_of(cohort, "focused"), file_of(cohort, "panoramic")
    words = ("classify", "explain", ensemble, "--set", "steps=2", "--run", tmp_path)
    code, _, err = command_line(*words, focused, "--panoramic", panoramic)
    assert code == 0, err
    assert np.load(tmp_path / "map.npy").shape == (32, 64)
    assert panoramic.name in (tmp_path / "config.yaml").read_text()


def test_train_refuses_a_view_beside_it(cohort, tmp_path, command_line):
    words = ("classify", "train", cohort.root, "--run", tmp_path, "--set", "views=dual", "--view", "focused")
    code, _, err = command_line(*words)
    assert code == 2 and "leave out --view focused" in " ".join(err.split())
