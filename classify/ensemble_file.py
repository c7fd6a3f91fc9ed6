"""An ensemble's file: one safetensors file with the models of all folds, the calibration and the metadata."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from morphoscope.classify.certainty import Calibration
from morphoscope.classify.certainty.calibration import read_calibrations, stored_calibrations
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.inputs.pairs import HALVES, Form
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.network.weights import without_initial_weights
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.loading import validated
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint

KIND = "ensemble"
_SHARED = "shared"


class StoredEnsemble(NamedTuple):
    """The content of an ensemble's file.

    Attributes:
        metadata: what the file records beside weights and calibration.
        models: {fold: model}, on the CPU.
        calibrations: by form; empty if the ensemble is not calibrated.
        dtype: of the matrices in the file, float32 or float16.
    """

    metadata: EnsembleMetadata
    models: Mapping[str, ConditionClassifier]
    calibrations: Mapping[Form, Calibration]
    dtype: torch.dtype


def write_ensemble(path: Path, stored: StoredEnsemble) -> None:
    """Write an ensemble; tensors that are the same in all folds are stored once.

    With `stored.dtype` float16 matrices and filters are rounded, while biases and normalisation statistics
    are kept as they are.

    Raises:
        UserError: the file cannot be written.
    """
    states = {
        fold: {key: _cast(value, stored.dtype) for key, value in model.state_dict().items()}
        for fold, model in stored.models.items()
    }
    first, *others = states.values()
    tensors: dict[str, Tensor] = {}
    for key, value in first.items():
        if others and all(torch.equal(value, state[key]) for state in others):
            tensors[f"{_SHARED}/{key}"] = value
        else:
            tensors |= {f"{fold}/{key}": state[key] for fold, state in states.items()}
    metadata = stored.metadata.as_json()
    if stored.calibrations:
        found, facts = stored_calibrations(stored.calibrations)
        tensors, metadata = {**tensors, **found}, {**metadata, **facts}
    write_checkpoint(path, KIND, tensors, metadata)


def read_ensemble(path: Path, test_time: int | None = None) -> StoredEnsemble:
    """Read a file written by `write_ensemble`.

    Args:
        path: of the file.
        test_time: number of orientations of each image, 1 or 8, if not that of its config. The calibration
            was then fitted to other probabilities and is left out.

    Raises:
        UserError: the file is missing, damaged or not an ensemble, its tensors do not fit its metadata, or
            `test_time` is neither 1 nor 8.
    """
    path = Path(path)
    tensors, values = read_checkpoint(path, KIND)
    facts: dict[str, Any] = {key: values.pop(key, None) for key in ("calibration", "half_calibrations")}
    metadata = EnsembleMetadata.from_json(values, path)
    config = metadata.config
    models = {fold: _model(metadata, fold, tensors, path) for fold in metadata.folds}
    if test_time not in (None, config.data_augmentation.test_time):
        facts = {}
        changed = validated(EnsembleTraining, {**config.model_dump(), "test_time": test_time})
        metadata = metadata.model_copy(update={"config": changed})
    calibrations = read_calibrations(
        facts,
        tensors,
        forms=("whole", *HALVES) if config.images.views == "dual" else ("whole",),
        classes=len(metadata.conditions),
        folds=len(models),
        features=models[metadata.folds[0]].features,
        path=path,
    )
    half = any(tensor.dtype == torch.float16 for tensor in tensors.values())
    return StoredEnsemble(metadata, models, calibrations, torch.float16 if half else torch.float32)


def _model(
    metadata: EnsembleMetadata, fold: str, tensors: dict[str, Tensor], path: Path
) -> ConditionClassifier:
    """The model of one fold, with the weights in `tensors`."""
    with without_initial_weights():
        model = ConditionClassifier(metadata.config, len(metadata.conditions), len(metadata.auxiliary))
    state = {}
    for key, value in tensors.items():
        owner, _, name = key.partition("/")
        if owner in (_SHARED, fold):
            state[name] = value
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: fold {fold} does not fit its description ({reason}).") from error
    return model


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    # Batch statistics can exceed float16's range, and vectors need little space.
    return tensor.to(dtype) if tensor.is_floating_point() and tensor.ndim >= 2 else tensor
