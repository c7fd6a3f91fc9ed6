"""The metadata in an ensemble's file: what is refused, what is kept, and files of earlier versions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint

SCORES = {"0": {"balanced_accuracy": 1, "epoch": 2, "training_images": {"real": 3}, "validation_images": 4}}


@pytest.fixture
def values(config: EnsembleTraining) -> dict[str, Any]:
    """The least that a file may record."""
    return {"config": config.model_dump(mode="json"), "conditions": ["a", "b"], "folds": ["0"]}


def test_a_file_of_an_earlier_version_still_loads(ensemble: Ensemble, tmp_path: Path) -> None:
    """It recorded neither view, phantom, generators, auxiliary classes nor the images that it had seen."""
    ensemble.save(tmp_path / "e.safetensors")
    tensors, metadata = read_checkpoint(tmp_path / "e.safetensors", "ensemble")
    known = ("cohort", "cohort_digest", "config", "conditions", "folds")
    facts = {name: metadata[name] for name in known}
    facts["config"] = {"backbone": "test_efficientnet", "resolution": 32, "epochs": 1, "batch": 8}
    facts["config"]["learning_rate"] = 0.001
    write_checkpoint(tmp_path / "old.safetensors", "ensemble", tensors, facts)
    loaded = Ensemble.load(tmp_path / "old.safetensors")
    assert loaded.metadata.cohort == "toy" and loaded.metadata.seen_images is None
    assert loaded.view is None and loaded.auxiliary == [] and not loaded.metadata.phantom
    image = np.zeros((1, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(loaded.predict(image).per_fold, ensemble.predict(image).per_fold)


def test_what_is_written_is_what_was_given(values: dict[str, Any]) -> None:
    given = {"scores": SCORES, "view": "focused", **values, "kind": "ensemble", "added later": [1]}
    found = EnsembleMetadata.from_json(given, Path("e")).as_json()
    assert found == given and list(found)[-2:] == ["kind", "added later"]


def test_conditions_are_described_as_recorded_or_as_built_in(values: dict[str, Any]) -> None:
    values = {**values, "conditions": ["NF1", "b"]}
    assert list(EnsembleMetadata.from_json(values, Path("e")).descriptions) == ["NF1"]
    given = {**values, "described": [{"name": "b", "full_name": "beta"}]}
    found = EnsembleMetadata.from_json(given, Path("e"))
    assert found.as_json() == given
    assert {name: one.full_name for name, one in found.descriptions.items()} == {"b": "beta"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"described": [{"name": "a", "full_name": "line\nbreak"}]}, r"described\.0\.full_name: "),
        ({"described": [{"name": "a", "html": "<b>"}]}, r"described\.0\.html: "),
        ({"view": "sideways"}, "view: "),
        ({"auxiliary": ["a"]}, "auxiliary: it names a condition"),
        ({"auxiliary": "nevus"}, "auxiliary: "),
        ({"conditions": ["a", "a"]}, "conditions: a name occurs twice"),
        ({"conditions": ["a", 1]}, r"conditions\.1: "),
        ({"conditions": []}, "conditions: "),
        ({"conditions": ["a", "b\x00"]}, "conditions: .*control character"),
        ({"conditions": ["a", "b\u202e"]}, "conditions: .*invisible"),
        ({"conditions": ["a", " "]}, "conditions: .*empty"),
        ({"conditions": ["a", "b" * 10_000]}, "conditions: .*longer than 200"),
        ({"auxiliary": ["\udcff"]}, "auxiliary: .*surrogate"),
        ({"folds": ["0\n"]}, "folds: .*line break"),
        ({"folds": [str(number) for number in range(101)]}, "folds: "),
        ({"seen_images": []}, "seen_images: "),
        ({"seen_images": {"a": 1}}, "seen_images: "),
        ({"cohort_digest": 7}, "cohort_digest: "),
        ({"phantom": "no"}, "phantom: "),
        ({"scores": {"0": {"epoch": 1}}}, r"scores\.0\.balanced_accuracy: "),
        ({"config": {}}, "backbone: Field required"),
    ],
)
def test_damaged_metadata_is_refused(values: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^e\.safetensors: damaged description.*{message}"):
        EnsembleMetadata.from_json({**values, **change}, Path("e.safetensors"))
