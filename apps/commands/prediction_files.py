"""Predictions as a file, for a spreadsheet (CSV) or a program (JSON)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from morphoscope.apps.commands.photographs import Files
from morphoscope.classify import Ensemble, Prediction
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.cohort.storage import unwritable_reason
from morphoscope.cohort.workers import raise_together
from morphoscope.configs import UserError
from morphoscope.runtime import write_text

_DECIMALS = 6


def require_output(path: Path) -> None:
    """Raise UserError unless this is the name of a file that `write_predictions` can write."""
    if path.suffix.lower() not in (".csv", ".json"):
        raise UserError(f"--output {path}: the name must end with .csv or .json.")
    if path.is_dir():
        raise UserError(f"--output {path}: a folder; give the name of a file.")


def require_writable_names(paths: Sequence[Path]) -> None:
    """Raise UserError for names that no text file can hold."""
    reasons = ((str(path), unwritable_reason(str(path))) for path in paths)
    faults = [f"{name.encode('utf-8', 'backslashreplace').decode()}: {why}" for name, why in reasons if why]
    raise_together(faults, "name(s) cannot be written to --output")


def write_predictions(
    path: Path, ensemble: Ensemble, file: Path, files: Sequence[Files], prediction: Prediction
) -> None:
    """Write all predictions as CSV or JSON, by the suffix of `path`; atomically, in place of an older file.

    Args:
        file: the ensemble's.
        files: one entry per prediction; their paths are written as they are.

    Raises:
        UserError: the file cannot be written.
    """
    if path.suffix.lower() == ".csv":
        frame = prediction.to_frame([_name(one.image) for one in files])
        if ensemble.dual:
            frame.insert(1, "panoramic", [_name(one.panoramic) for one in files])
        write_csv(path, frame)
        return
    found = _facts(ensemble, file, prediction)
    found["predictions"] = [_entry(prediction, index, one) for index, one in enumerate(files)]
    write_text(path, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def _name(path: Path | None) -> str:
    return "" if path is None else str(path)


def _facts(ensemble: Ensemble, file: Path, prediction: Prediction) -> dict[str, Any]:
    """What all predictions have in common."""
    metadata, prior = ensemble.metadata, prediction.prior
    return {
        "ensemble": str(file),
        "trained_on": {"cohort": metadata.cohort, "digest": metadata.cohort_digest},
        "phantom": metadata.phantom,
        "models": prediction.models,
        "test_time": ensemble.config.data_augmentation.test_time,
        "calibrated": prediction.prediction_sets is not None,
        "coverage": prediction.coverage,
        "prior": None
        if prior is None
        else {"name": prior.name, "frequencies": _by_name(prediction.conditions, prior.frequencies)},
        "conditions": {name: _full_name(ensemble, name) for name in prediction.conditions},
        "auxiliary": list(prediction.auxiliary),
        "held_out": [one.model_dump(mode="json") for one in prediction.held_out],
    }


def _full_name(ensemble: Ensemble, name: str) -> str | None:
    return ensemble.descriptions[name].full_name if name in ensemble.descriptions else None


def _entry(prediction: Prediction, index: int, files: Files) -> dict[str, Any]:
    """One prediction; null for what an ensemble without calibration or auxiliary classes does not have."""
    novel, novelty, joint = prediction.novel, prediction.novelty, prediction.joint
    every = [*prediction.conditions, *prediction.auxiliary]
    return {
        "file": None if files.image is None else str(files.image),
        "panoramic": None if files.panoramic is None else str(files.panoramic),
        "predicted": prediction.conditions[prediction.predicted[index]],
        "probabilities": _by_name(prediction.conditions, prediction.combined[index]),
        "prediction_set": prediction.possible(index),
        "unsure": bool(prediction.unsure[index]),
        "another_kind_of_image": None if novel is None else bool(novel[index]),
        "novelty": None if novelty is None else round(float(novelty[index]), _DECIMALS),
        "votes": int(prediction.votes[index]),
        "joint": _by_name(every, joint[:, index].mean(axis=0))
        if prediction.auxiliary and joint is not None
        else None,
    }


def _by_name(names: Sequence[str], values: Any) -> dict[str, float]:
    return {name: round(float(value), _DECIMALS) for name, value in zip(names, values, strict=True)}
