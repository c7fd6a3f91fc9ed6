"""What an ensemble's file says of itself: as untrusted as the file, so checked before it is used."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from morphoscope.cohort.manifest import VIEWS
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining

MAX_IMAGES = 1_000_000
"""What a file may tell of one by one: about 20 MB of names in its metadata."""

_MAX_FOLDS, _MAX_CONDITIONS = 100, 10_000


def described(metadata: dict[str, Any], path: Path) -> tuple[EnsembleTraining, list[str], list[str]]:
    """Config, conditions and folds of a checkpoint's metadata.

    Raises:
        UserError: something is missing, damaged or out of range.
    """
    conditions = _names(metadata, "conditions", _MAX_CONDITIONS, path)
    folds = _names(metadata, "folds", _MAX_FOLDS, path)
    if "auxiliary" in metadata:
        auxiliary = _names(metadata, "auxiliary", _MAX_CONDITIONS, path)
        if not set(auxiliary).isdisjoint(conditions):
            raise UserError(f"{path}: damaged description: `auxiliary` names a condition.")
    if metadata.get("view") not in (None, *VIEWS):
        raise UserError(f"{path}: damaged description: `view` is none of {', '.join(VIEWS)}.")
    if "seen_images" in metadata:
        _names(metadata, "seen_images", MAX_IMAGES, path)
    try:
        return EnsembleTraining(**metadata.get("config", {})), conditions, folds
    except (ValidationError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged description, or from another version ({reason}).") from error


def _names(metadata: dict[str, Any], key: str, bound: int, path: Path) -> list[str]:
    value = metadata.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError(f"{path}: damaged description: `{key}` is not a list of names.")
    if not 0 < len(value) <= bound or len(set(value)) != len(value):
        raise UserError(f"{path}: damaged description: `{key}` has {len(value)} names, or one of them twice.")
    return value
