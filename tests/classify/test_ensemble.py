import json
from pathlib import Path

import numpy as np
import pytest
import torch

from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint


def test_predict_takes_images_of_any_size(ensemble: Ensemble, photographs: list[np.ndarray]) -> None:
    prediction = ensemble.predict(photographs, batch=2)
    assert prediction.per_fold.shape == (3, 3, 3)
    assert prediction.per_fold.dtype == prediction.combined.dtype == np.float32
    np.testing.assert_allclose(prediction.per_fold.sum(axis=2), 1, atol=1e-5)
    one = ensemble.predict(photographs[2][None])
    np.testing.assert_allclose(one.per_fold[:, 0], prediction.per_fold[:, 2], atol=1e-5)
    assert ensemble.predict([]).combined.shape == (0, 3)


@pytest.mark.parametrize(
    "bad", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)]
)
def test_predict_refuses_what_is_no_uint8_rgb(ensemble: Ensemble, bad: np.ndarray) -> None:
    with pytest.raises(UserError, match="uint8 RGB"):
        ensemble.predict([bad])


def test_saved_ensemble_predicts_exactly_the_same(
    ensemble: Ensemble, photographs: list[np.ndarray], tmp_path: Path
) -> None:
    ensemble.save(tmp_path / "e.safetensors")
    loaded = Ensemble.load(tmp_path / "e.safetensors")
    assert (loaded.conditions, loaded.folds, loaded.resolution) == (ensemble.conditions, ensemble.folds, 32)
    assert loaded.metadata.cohort == "toy"
    assert loaded.metadata.normalisation.mean == [0.485, 0.456, 0.406]
    np.testing.assert_array_equal(
        loaded.predict(photographs).per_fold, ensemble.predict(photographs).per_fold
    )


def test_tensors_that_all_folds_share_are_stored_once(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.save(tmp_path / "e.safetensors")
    names = set(read_checkpoint(tmp_path / "e.safetensors", "ensemble")[0])
    assert "shared/backbone.conv_stem.weight" in names
    assert {f"{fold}/backbone.classifier.weight" for fold in "012"} <= names
    same = dict.fromkeys(ensemble.folds, ensemble.models[0])
    ensemble.with_models(same).save(tmp_path / "same.safetensors")
    sizes = [(tmp_path / name).stat().st_size for name in ("e.safetensors", "same.safetensors")]
    assert sizes[1] < 0.4 * sizes[0]


def test_float16_halves_the_file_and_keeps_the_probabilities(
    ensemble: Ensemble, photographs: list[np.ndarray], tmp_path: Path
) -> None:
    ensemble.save(tmp_path / "full.safetensors")
    ensemble.save(tmp_path / "half.safetensors", torch.float16)
    half = Ensemble.load(tmp_path / "half.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (
        tmp_path / "full.safetensors"
    ).stat().st_size
    np.testing.assert_allclose(
        half.predict(photographs).per_fold, ensemble.predict(photographs).per_fold, atol=0.01
    )
    half.save(tmp_path / "again.safetensors")  # as it was read
    tensors = [read_checkpoint(tmp_path / f"{name}.safetensors", "ensemble")[0] for name in ("half", "again")]
    for name, value in tensors[0].items():
        assert tensors[1][name].dtype == value.dtype and torch.equal(tensors[1][name], value), name


def test_an_ensemble_of_one_fold_can_be_saved(
    ensemble: Ensemble, photographs: list[np.ndarray], tmp_path: Path
) -> None:
    one = ensemble.fold("1")
    one.save(tmp_path / "one.safetensors")
    loaded = Ensemble.load(tmp_path / "one.safetensors")
    assert loaded.folds == ["1"]
    np.testing.assert_array_equal(
        loaded.predict(photographs).per_fold[0], ensemble.predict(photographs).per_fold[1]
    )


def test_a_local_weights_path_stays_private(config: EnsembleTraining, ensemble: Ensemble) -> None:
    private = config.model_copy(update={"weights_file": Path("/home/doctor/secret/w.pth")})
    metadata = EnsembleMetadata(config=private, conditions=["a", "b", "c"], folds=["0"])
    assert metadata.config.network.weights_file == Path("w.pth")
    assert "secret" not in json.dumps(metadata.as_json())


def test_damaged_files_are_refused(ensemble: Ensemble, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    ensemble.save(path)
    whole = path.read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "garbage": b"\x00garbage" * 99,
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            Ensemble.load(tmp_path / name)
    with pytest.raises(UserError, match="no such"):
        Ensemble.load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conditions": ["a", "b"]}, "does not fit"),
        ({"conditions": "abc"}, "conditions"),
        ({"folds": []}, "folds"),
        ({"folds": ["0", "0"]}, "folds"),
        ({"folds": ["0", "7"]}, "does not fit"),
        ({"config": {"backbone": "hf-hub:someone/model"}}, "backbone"),
        ({"config": None}, "description"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    ensemble: Ensemble, tmp_path: Path, change: dict, message: str
) -> None:
    ensemble.save(tmp_path / "e.safetensors")
    tensors, metadata = read_checkpoint(tmp_path / "e.safetensors", "ensemble")
    if isinstance(change.get("config"), dict):
        change = {"config": {**metadata["config"], **change["config"]}}
    write_checkpoint(tmp_path / "changed.safetensors", "ensemble", tensors, {**metadata, **change})
    with pytest.raises(UserError, match=message):
        Ensemble.load(tmp_path / "changed.safetensors")


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "g.safetensors", "generator", {"w": torch.zeros(2)}, {})
    with pytest.raises(UserError, match="generator"):
        Ensemble.load(tmp_path / "g.safetensors")
