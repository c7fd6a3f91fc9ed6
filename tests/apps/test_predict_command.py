"""`classify predict` as a user runs it: files, folders and patterns in; a table, CSV or JSON out."""

import json

import numpy as np
import pandas as pd
import pytest

from morphoscope.apps.bundled_models import ENSEMBLE
from morphoscope.classify import Ensemble
from morphoscope.cohort import phantom_image, write_image
from morphoscope.cohort.spreadsheet import read_csv

CONDITIONS = ["HMI", "IP", "MA", "ML", "NF1", "Other", "TSC"]
FILES = ["photos/=b.png", "photos/a.png", "photos/visit 2/a.png", "photos/visit 2/c[1].png"]


@pytest.fixture
def predict(tmp_path, monkeypatch, command_line):
    """Run `classify predict ENSEMBLE …` in a folder with four photographs and a text file."""
    monkeypatch.chdir(tmp_path)
    for seed, (file, condition) in enumerate(zip(FILES, ("NF1", "TSC", "IP", "ML"), strict=True)):
        write_image(tmp_path / file, phantom_image(condition, seed).image)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return lambda *words: command_line("classify", "predict", ENSEMBLE, *words)


def test_a_folder_is_written_as_csv_with_whole_paths(predict, tmp_path):
    code, out, err = predict("photos", "--output", "results/table.csv")
    assert code == 0, err
    assert "Wrote results/table.csv" in out and "neurofibromatosis" in out
    table = read_csv(tmp_path / "results" / "table.csv", 10**6)
    assert list(table["file"]) == FILES
    expected = Ensemble.load(ENSEMBLE).predict(FILES)
    written = table[[f"p_{name}" for name in CONDITIONS]].astype(float).to_numpy()
    np.testing.assert_allclose(written, expected.combined, atol=1e-6)
    np.testing.assert_allclose(written.sum(axis=1), 1, atol=1e-5)
    assert list(table["unsure"]) == [str(unsure) for unsure in expected.unsure]
    assert list(table["another_kind_of_image"]) == [str(novel) for novel in expected.novel]
    assert [text.split("; ") for text in table["prediction_set"]] == [expected.possible(i) for i in range(4)]


def test_a_name_that_a_spreadsheet_would_run_is_text_there(predict, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "photos")
    code, _, err = predict("=b.png", "--output", "table.csv")
    assert code == 0, err
    assert pd.read_csv("table.csv")["file"][0] == "'=b.png"


def test_patterns_are_written_as_json(predict, tmp_path):
    (tmp_path / "table.json").write_text("of an earlier run")
    code, _, err = predict("photos/**/[ac]*", "photos/visit 2/c[1].png", "--output", "table.json")
    assert code == 0, err
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["phantom"] and content["calibrated"] and content["models"] == 5
    assert content["coverage"] == pytest.approx(0.9)
    assert content["conditions"]["TSC"] == "tuberous sclerosis complex"
    files = [*FILES[1:], FILES[3]]  # the last one both fits the pattern and is a name of its own
    assert [one["file"] for one in content["predictions"]] == files
    expected = Ensemble.load(ENSEMBLE).predict(files)
    for index, one in enumerate(content["predictions"]):
        assert one["panoramic"] is None and one["joint"] is None
        assert one["predicted"] == CONDITIONS[expected.predicted[index]]
        assert list(one["probabilities"].values()) == pytest.approx(list(expected.combined[index]), abs=1e-6)
        assert one["prediction_set"] == expected.possible(index)
        assert one["another_kind_of_image"] == expected.novel[index]
        assert one["votes"] == expected.votes[index]


def test_the_files_state_the_prior(predict, tmp_path):
    """Training weighted the conditions equally; the files say for whom the probabilities are."""
    predict("photos/a.png", "--output", "plain.csv")
    predict("photos/a.png", "--output", "cohort.json", "--prevalence", "cohort")
    plain, other = pd.read_csv(tmp_path / "plain.csv"), json.loads((tmp_path / "cohort.json").read_text())
    ensemble = Ensemble.load(ENSEMBLE)
    assert plain["prior"][0] == ensemble.prior.name
    assert other["prior"]["name"] == ensemble.cohort_prior.name
    assert sum(other["prior"]["frequencies"].values()) == pytest.approx(1, abs=1e-4)


def test_names_that_occur_twice_have_their_folders_in_the_table(predict):
    _, out, _ = predict("photos/a.png", "photos/=b.png")
    assert "photos/" not in out and "=b.png" in out
    _, out, _ = predict("photos/a.png", "photos/visit 2/a.png")
    assert "photos/a.png" in out and "photos/visit 2/a.png" in out


def test_what_cannot_be_read_is_named_all_at_once_and_nothing_is_written(predict, tmp_path):
    for name in ("bad.png", "empty.jpg"):
        (tmp_path / "photos" / name).write_bytes(b"no image" if name == "bad.png" else b"")
    code, _, err = predict("photos", "--output", "table.csv")
    assert code == 2
    assert "2 photograph(s) cannot be read" in err and "bad.png" in err and "empty.jpg" in err
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "No photograph given"),
        (("photos/*.tif",), "photos/*.tif: no image here"),
        (("empty",), "empty: no image here"),
        (("absent.png",), "absent.png: no such file"),
        (("photos", "--output", "table.xlsx"), "--output table.xlsx: the name must end with .csv or .json"),
        (("photos", "--output", "folder.csv"), "folder.csv: a folder"),
    ],
)
def test_mistakes_are_said_in_a_line(predict, tmp_path, words, problem):
    for folder in ("empty", "folder.csv"):
        (tmp_path / folder).mkdir()
    code, _, err = predict(*words)
    assert code == 2 and problem in " ".join(err.split())
