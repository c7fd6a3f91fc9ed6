"""Calibration of an ensemble: what it is fitted on, what it changes, how it is kept and checked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from morphoscope.classify import Ensemble
from morphoscope.classify.certainty.correlation import logit_correlation
from morphoscope.classify.certainty.prior import Prior, shift_to_images
from morphoscope.classify.certainty.scaling import fit_scaling
from morphoscope.classify.prediction import pool
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint


def test_features_are_those_that_the_logits_come_from(ensemble: Ensemble) -> None:
    model = ensemble.models[0]
    pixels = torch.rand(2, 3, 32, 32)
    logits, features = model.logits_and_features(pixels)
    torch.testing.assert_close(logits, model(pixels))
    assert features.shape == (2, model.features)
    torch.testing.assert_close(model.backbone.get_submodule("classifier")(features), logits)


def test_it_is_fitted_to_images_that_the_model_has_not_seen(calibrated: Ensemble, cohort: Cohort) -> None:
    calibration = calibrated.calibration
    assert calibration is not None
    images, fold_of = cohort.images(32), cohort.rows["fold"].to_numpy(dtype=str)
    parts, truths = [], []
    for position, fold in enumerate(calibrated.folds):
        here = np.flatnonzero(fold_of == fold)
        probabilities, features, _ = calibrated.predict_fold(fold, images[here])
        truth = np.array([cohort.conditions.index(name) for name in cohort.rows["condition"].iloc[here]])
        own = calibration.conformal.fold == position
        np.testing.assert_allclose(
            calibration.conformal.scores[own], 1 - probabilities[np.arange(len(here)), truth], atol=1e-6
        )
        subspace = calibration.novelty.subspaces[position]
        np.testing.assert_allclose(calibration.novelty.distances[own], subspace.distance(features), atol=1e-5)
        training = np.flatnonzero((fold_of != fold) & (fold_of != "test"))
        unit = calibrated.predict_fold(fold, images[training]).features
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        np.testing.assert_allclose(subspace.mean, unit.mean(axis=0), atol=1e-5)
        parts.append(probabilities)
        truths.append(truth)
    assert len(calibration.conformal.scores) == (fold_of != "test").sum()
    together = np.concatenate(truths)
    wanted = fit_scaling(np.concatenate(parts), together, shift_to_images(Prior.uniform(3), together, 3))
    assert calibration.single.temperature == pytest.approx(wanted.temperature, rel=1e-3)
    np.testing.assert_allclose(calibration.single.bias, wanted.bias, atol=1e-4)


def test_the_correlation_is_that_of_the_models_on_the_training_cohort(
    calibrated: Ensemble, cohort: Cohort
) -> None:
    calibration = calibrated.calibration
    assert calibration is not None
    known = cohort.rows["fold"].to_numpy(dtype=str) != "test"
    images, position = cohort.images(32)[known], cohort.rows["fold"][known].astype(int).to_numpy()
    outputs = [calibrated.predict_fold(fold, images) for fold in calibrated.folds]
    alike = logit_correlation(np.stack([output.probabilities for output in outputs]), position)
    assert calibration.conformal.correlation == pytest.approx(alike, abs=1e-4)
    assert calibration.scaling.temperature <= calibration.single.temperature


def test_a_calibrated_prediction_has_sets_and_novelty(
    calibrated: Ensemble, photographs: list[np.ndarray]
) -> None:
    found = calibrated.predict(photographs, batch=2)
    calibration, calibrated.calibrations = calibrated.calibration, {}
    plain = calibrated.predict(photographs)
    assert calibration is not None
    assert plain.prediction_sets is plain.novelty is plain.novel is plain.uncalibrated is None
    assert plain.possible(0) is None
    np.testing.assert_allclose(found.per_fold, calibration.scaling.apply(plain.per_fold), atol=1e-5)
    np.testing.assert_allclose(found.uncalibrated, plain.combined, atol=1e-5)
    np.testing.assert_allclose(found.combined, pool(found.per_fold)[0])
    assert found.prediction_sets is not None and found.novelty is not None and found.novel is not None
    assert found.prediction_sets.shape == (3, 3) and found.prediction_sets.any(axis=1).all()
    assert found.novelty.shape == found.novel.shape == (3,)
    names = found.possible(1)
    assert names is not None
    order = [found.combined[1, found.conditions.index(name)] for name in names]
    assert order == sorted(order, reverse=True) and len(names) == found.prediction_sets[1].sum()
    assert calibrated.fold("1").calibration is None


def test_noise_is_out_of_distribution(calibrated: Ensemble, cohort: Cohort) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    noisy = calibrated.predict(noise)
    alike = calibrated.predict(cohort.images(32)[cohort.rows["fold"] == "test"])
    assert noisy.novelty is not None and alike.novelty is not None
    assert noisy.novel is not None and alike.novel is not None
    assert np.median(noisy.novelty) > np.quantile(alike.novelty, 0.9)
    assert noisy.novel.mean() > 0.9 and alike.novel.mean() < 0.3


def test_it_is_kept_in_the_file(calibrated: Ensemble, photographs: list[np.ndarray], tmp_path: Path) -> None:
    calibrated.save(tmp_path / "e.safetensors")
    loaded = Ensemble.load(tmp_path / "e.safetensors")
    first, second = calibrated.predict(photographs), loaded.predict(photographs)
    for name in ("per_fold", "prediction_sets", "novelty", "novel"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_a_calibration_of_an_earlier_version_treats_the_ensemble_as_one_model(
    calibrated: Ensemble, photographs: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "e.safetensors"
    calibrated.save(path)
    content, metadata = read_checkpoint(path, "ensemble")
    facts = {name: metadata["calibration"][name] for name in ("coverage", "accepted", "images")}
    kept = {name: value for name, value in metadata.items() if name not in ("prior", "prevalence")}
    write_checkpoint(path, "ensemble", content, {**kept, "calibration": {**facts, "temperature": 1.5}})
    loaded = Ensemble.load(path)
    assert loaded.calibration is not None and loaded.calibration.scaling.temperature == 1.5
    assert loaded.calibration.conformal.level == pytest.approx(0.1)
    assert loaded.calibration.novelty.accepted == 0.95
    assert loaded.prior == Prior.uniform(3)  # from the balanced loss of its config
    assert loaded.cohort_prior is not None  # from the calibration images
    before, after = calibrated.predict(photographs), loaded.predict(photographs)
    np.testing.assert_array_equal(before.uncalibrated, after.uncalibrated)


def test_a_file_without_calibration_still_loads(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.save(tmp_path / "e.safetensors")
    assert Ensemble.load(tmp_path / "e.safetensors").calibration is None


def test_another_cohort_is_refused(ensemble: Ensemble, cohort: Cohort) -> None:
    with pytest.raises(UserError, match="not the cohort, or not the split"):
        ensemble.calibrate(cohort)


@pytest.mark.parametrize(
    ("facts", "tensors", "message"),
    [
        ({"single_temperature": 0.0}, {}, "single_temperature 0.0"),
        ({"single_temperature": float("nan")}, {}, "single_temperature nan"),
        ({"single_temperature": None, "temperature": "1"}, {}, "temperature '1'"),
        ({"single_temperature": 99}, {}, "single_temperature 99"),
        ({"bias": [0.1, 0.2]}, {}, "bias"),
        ({"bias": [0.1, 0.2, float("nan")]}, {}, "bias"),
        ({"bias": "0"}, {}, "bias"),
        ({"correlation": 1.5}, {}, "correlation 1.5"),
        ({"coverage": 2}, {}, "coverage 2"),
        ({"accepted": None}, {}, "accepted None"),
        ({"images": 53}, {}, "'truth' is missing, or not 53"),
        ({"images": 10**9}, {}, "images 1000000000"),
        ({}, {"truth": torch.full((54,), 3)}, "'truth' has numbers beyond 0 to 2"),
        ({}, {"fold": torch.full((54,), -1)}, "'fold' has numbers beyond"),
        ({}, {"distances": torch.zeros(54, 2)}, "'distances'"),
        ({}, {"subspace-2/mean": None}, "'subspace-2/mean'"),
        ({}, {"subspace-1/basis": torch.zeros(2, 255)}, "'subspace-1/basis'"),
        ({}, {"subspace-1/basis": torch.zeros(99, 256)}, "'subspace-1/basis'"),
    ],
)
def test_a_damaged_calibration_is_refused(
    calibrated: Ensemble, tmp_path: Path, facts: dict[str, Any], tensors: dict[str, Any], message: str
) -> None:
    calibrated.save(tmp_path / "e.safetensors")
    content, metadata = read_checkpoint(tmp_path / "e.safetensors", "ensemble")
    content |= {f"certainty/{name}": tensor for name, tensor in tensors.items()}
    kept = {name: tensor for name, tensor in content.items() if tensor is not None}
    changed = {**metadata, "calibration": {**metadata["calibration"], **facts}}
    write_checkpoint(tmp_path / "changed.safetensors", "ensemble", kept, changed)
    with pytest.raises(UserError, match=f"damaged calibration: {message}"):
        Ensemble.load(tmp_path / "changed.safetensors")


def test_a_calibration_that_is_no_table_is_refused(calibrated: Ensemble, tmp_path: Path) -> None:
    calibrated.save(tmp_path / "e.safetensors")
    content, metadata = read_checkpoint(tmp_path / "e.safetensors", "ensemble")
    write_checkpoint(tmp_path / "e.safetensors", "ensemble", content, {**metadata, "calibration": [1]})
    with pytest.raises(UserError, match="damaged calibration: not a table"):
        Ensemble.load(tmp_path / "e.safetensors")
