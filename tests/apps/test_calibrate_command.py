"""`classify calibrate`: an ensemble of an earlier version learns in its own file how sure it is."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from morphoscope.apps.cli import app
from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.cohort import Cohort, phantom
from morphoscope.configs.classifier import EnsembleTraining


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    drawn = phantom(tmp_path_factory.mktemp("phantom") / "cohort", per_condition=6, size=32)
    split = drawn.split(folds=2, seed=0, test_fraction=0.3)
    split.save()
    return Cohort.load(split.root)


@pytest.fixture
def path(cohort: Cohort, tmp_path: Path) -> Path:
    config = EnsembleTraining(
        backbone="test_efficientnet", resolution=32, weights="none", epochs=1, batch=4, learning_rate=1e-3
    )
    torch.manual_seed(0)
    models = {fold: ConditionClassifier(config, len(cohort.conditions)) for fold in ("0", "1")}
    metadata = EnsembleMetadata(
        cohort="phantom",
        cohort_digest=cohort.digest,
        config=config,
        conditions=cohort.conditions,
        folds=list(models),
    )
    Ensemble(metadata, models).save(tmp_path / "e.safetensors")
    return tmp_path / "e.safetensors"


def test_an_earlier_ensemble_is_calibrated(cohort: Cohort, path: Path) -> None:
    image = str(cohort.root / cohort.rows["file"].iloc[0])
    before = CliRunner().invoke(app, ["classify", "predict", str(path), image], env={"COLUMNS": "200"})
    assert before.exit_code == 0 and "not calibrated" in before.output
    done = CliRunner().invoke(app, ["classify", "calibrate", str(path), str(cohort.root)])
    assert done.exit_code == 0, done.output
    assert Ensemble.load(path).calibration is not None
    after = CliRunner().invoke(app, ["classify", "predict", str(path), image], env={"COLUMNS": "200"})
    assert "possible (90%)" in after.output and "not calibrated" not in after.output


def test_a_float16_file_stays_one(cohort: Cohort, path: Path) -> None:
    Ensemble.load(path).save(path, torch.float16)
    before = path.stat().st_size
    done = CliRunner().invoke(app, ["classify", "calibrate", str(path), str(cohort.root)])
    assert done.exit_code == 0, done.output
    calibration = Ensemble.load(path).calibration
    assert calibration is not None
    room = sum(tensor.nbytes for tensor in calibration.tensors().values())
    assert path.stat().st_size < before + room + 5_000


def test_evaluate_takes_pictures_that_are_unlike(cohort: Cohort, path: Path, tmp_path: Path) -> None:
    arguments = ["classify", "evaluate", str(path), str(cohort.root), "--unlike", str(cohort.root)]
    refused = CliRunner().invoke(app, [*arguments, "--run", str(tmp_path / "a")])
    assert refused.exit_code != 0
    CliRunner().invoke(app, ["classify", "calibrate", str(path), str(cohort.root)])
    found = CliRunner().invoke(app, [*arguments, "--run", str(tmp_path / "b")], env={"COLUMNS": "200"})
    assert found.exit_code == 0, found.output
    assert "of 42 images of another kind" in found.output and "skin tone" in found.output
    assert (tmp_path / "b" / "strata.csv").is_file() and (tmp_path / "b" / "reliability.png").is_file()
