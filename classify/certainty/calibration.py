"""The calibration of an ensemble: fitted to out-of-fold predictions, stored in the ensemble's file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morphoscope.classify.certainty.conformal import Conformal
from morphoscope.classify.certainty.correlation import logit_correlation
from morphoscope.classify.certainty.novelty import DIMENSIONS, Novelty, Subspace
from morphoscope.classify.certainty.scaling import BOUNDS, LARGEST_BIAS, Scaling, fit_scaling
from morphoscope.classify.description import MAX_IMAGES
from morphoscope.classify.inputs.pairs import Form
from morphoscope.configs import UserError

COVERAGE, ACCEPTED = 0.9, 0.95
PREFIX = "certainty/"
"""Prefix of the names of its tensors in the ensemble's file."""


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of all F models for N images, each of which one model was not trained on.

    Attributes:
        probabilities: float32 [F, N, K] in [0, 1], at temperature 1.
        truth: true class, int64 [N], 0 to K - 1.
        fold: position of the model that was not trained on the image, int64 [N], 0 to F - 1.
        distances: float32 [N] in [0, 2], to the subspace of that one model.
    """

    probabilities: np.ndarray
    truth: np.ndarray
    fold: np.ndarray
    distances: np.ndarray

    @property
    def unseen(self) -> np.ndarray:
        """Probabilities of the one model that was not trained on the image, float32 [N, K]."""
        return self.probabilities[self.fold, np.arange(len(self.fold))]


class CalibrationSummary(NamedTuple):
    """The numbers of a calibration, as the ensemble's metadata and metrics.json have them.

    Attributes:
        temperature: by which the ensemble's mean logits are divided.
        coverage: proportion of prediction sets that should hold the true condition, in (0, 1).
        accepted: proportion of images in distribution that should not be called novel, in (0, 1).
        images: number of calibration images.
        single_temperature: by which the logits of one model alone are divided.
        bias: what is then added to each condition's logit; None for 0.
        correlation: between two models' logits on unseen images, in [0, 1]; 1 in files of earlier versions,
            which treat the ensemble as one model.
    """

    temperature: float
    coverage: float
    accepted: float
    images: int
    single_temperature: float | None = None
    bias: tuple[float, ...] | None = None
    correlation: float = 1.0


@dataclass(frozen=True)
class Calibration:
    """Scaling, prediction sets and novelty of one ensemble.

    Attributes:
        single: scaling of one model alone, which is what out-of-fold predictions show.
        conformal, novelty: prediction sets and alarms of the ensemble.
        scaling: that of the ensemble, which follows from `single` and the correlation of the models.
    """

    single: Scaling
    conformal: Conformal
    novelty: Novelty
    scaling: Scaling = field(init=False)

    def __post_init__(self) -> None:
        ensemble = self.single.of_ensemble(self.conformal.models, self.conformal.correlation)
        object.__setattr__(self, "scaling", ensemble)

    @classmethod
    def fit(cls, predicted: OutOfFold, subspaces: Sequence[Subspace], shift: np.ndarray) -> "Calibration":
        """Calibrate on out-of-fold predictions.

        Args:
            subspaces: of the folds' training images, F.
            shift: log ratio of the images' frequencies of conditions to the probabilities' prior, [K].
        """
        own, truth, fold = predicted.unseen, predicted.truth, predicted.fold
        alike = logit_correlation(predicted.probabilities, fold)
        return cls(
            fit_scaling(own, truth, shift),
            Conformal.fit(own, truth, fold, COVERAGE, len(subspaces), alike),
            Novelty(subspaces, predicted.distances, ACCEPTED),
        )

    @property
    def summary(self) -> CalibrationSummary:
        """Its numbers, without the arrays."""
        return CalibrationSummary(
            temperature=self.scaling.temperature,
            coverage=self.conformal.coverage,
            accepted=self.novelty.accepted,
            images=len(self.conformal.truth),
            single_temperature=self.single.temperature,
            bias=tuple(map(float, self.single.bias)),
            correlation=self.conformal.correlation,
        )

    def counts(self, classes: int) -> np.ndarray:
        """Number of calibration images of each of K conditions, int64 [K]."""
        return np.bincount(self.conformal.truth, minlength=classes)

    def tensors(self) -> dict[str, Tensor]:
        """Its arrays, by their names in the ensemble's file."""
        spaces = {
            f"subspace-{position}/{part}": getattr(subspace, part)
            for position, subspace in enumerate(self.novelty.subspaces)
            for part in ("mean", "basis")
        }
        arrays = {
            "scores": self.conformal.scores,
            "truth": self.conformal.truth,
            "fold": self.conformal.fold,
            "distances": self.novelty.distances,
            **spaces,
        }
        return {
            PREFIX + name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()
        }

    @classmethod
    def read(
        cls, facts: Any, tensors: dict[str, Tensor], *, classes: int, folds: int, features: int, path: Path
    ) -> "Calibration":
        """Read a calibration from an ensemble's file, checking every value.

        Files of earlier versions have no biases and no correlation: their one temperature is then that of
        single models and of the ensemble.

        Args:
            facts: the numbers of `summary`, from the file's metadata.
            tensors: the arrays, named as in `tensors`.
            classes, folds, features: K, F and D of the ensemble.
            path: of the file, for messages.

        Raises:
            UserError: something is missing, of another shape, not finite, or out of range.
        """
        reader = _Reader(facts, tensors, path)
        images = reader.count("images", MAX_IMAGES)
        truth, fold = reader.numbers("truth", images, classes), reader.numbers("fold", images, folds)
        scores = reader.reals("scores", (images,))
        spaces = [
            Subspace(
                reader.reals(f"subspace-{position}/mean", (features,)),
                reader.reals(f"subspace-{position}/basis", (None, features)),
            )
            for position in range(folds)
        ]
        single = "temperature" if reader.facts.get("single_temperature") is None else "single_temperature"
        coverage, accepted = (reader.number(name, 0.5, 0.999) for name in ("coverage", "accepted"))
        distances = reader.reals("distances", (images,))
        return cls(
            Scaling(reader.number(single, *BOUNDS), reader.biases(classes)),
            Conformal(scores, truth, fold, coverage, folds, reader.correlation()),
            Novelty(spaces, distances, accepted),
        )


def stored_calibrations(
    calibrations: Mapping[Form, Calibration],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, metadata) of calibrations, among them that of whole images, for an ensemble's file."""
    facts = {form: calibration.summary._asdict() for form, calibration in calibrations.items()}
    metadata: dict[str, Any] = {"calibration": facts.pop("whole")}
    if facts:
        metadata["half_calibrations"] = facts
    tensors = {
        _prefix(form) + name.removeprefix(PREFIX): tensor
        for form, calibration in calibrations.items()
        for name, tensor in calibration.tensors().items()
    }
    return tensors, metadata


def read_calibrations(
    metadata: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    forms: Sequence[Form],
    classes: int,
    folds: int,
    features: int,
    path: Path,
) -> dict[Form, Calibration]:
    """Read what `stored_calibrations` returned; empty if the ensemble was not calibrated.

    Args:
        metadata, tensors: of the ensemble's file.
        forms: those that the ensemble predicts.
        classes, folds, features, path: as for `Calibration.read`.

    Raises:
        UserError: as `Calibration.read`.
    """
    if metadata.get("calibration") is None:  # not calibrated, or from an earlier version
        return {}
    halves = metadata.get("half_calibrations")
    found = {**(halves if isinstance(halves, dict) else {}), "whole": metadata["calibration"]}
    return {
        form: Calibration.read(
            found.get(form),
            {
                PREFIX + name.removeprefix(_prefix(form)): tensor
                for name, tensor in tensors.items()
                if name.startswith(_prefix(form))
            },
            classes=classes,
            folds=folds,
            features=features,
            path=path,
        )
        for form in forms
    }


def _prefix(form: Form) -> str:
    """Prefix of the names of a form's tensors in the ensemble's file."""
    return PREFIX if form == "whole" else f"{PREFIX}{form}/"


class _Reader:
    """Checked access to a file's calibration."""

    def __init__(self, facts: Any, tensors: dict[str, Tensor], path: Path) -> None:
        self.facts, self.tensors, self.path = facts, tensors, path
        if not isinstance(facts, dict):
            raise self.damage("not a table")

    def damage(self, what: str) -> UserError:
        return UserError(f"{self.path}: damaged calibration: {what}.")

    def number(self, name: str, low: float, high: float) -> float:
        value = self.facts.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.damage(f"{name} {value!r} is not a number from {low} to {high}")
        return float(value)

    def correlation(self) -> float:
        """In [0, 1]; 1 if it is not recorded."""
        return 1.0 if self.facts.get("correlation") is None else self.number("correlation", 0, 1)

    def biases(self, classes: int) -> np.ndarray:
        """float64 [K]; 0 if they are not recorded."""
        values = self.facts.get("bias")
        if values is None:
            return np.zeros(classes)
        numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
        if not numbers or len(values) != classes or not all(abs(value) <= LARGEST_BIAS for value in values):
            span = f"-{LARGEST_BIAS} to {LARGEST_BIAS}"
            raise self.damage(f"bias {values!r} is not {classes} numbers from {span}")
        return np.array(values, np.float64)

    def count(self, name: str, most: int) -> int:
        value = self.number(name, 1, most)
        if value != int(value):
            raise self.damage(f"{name} {value!r} is not a count")
        return int(value)

    def reals(self, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """float32 array; None in `shape` is 1 to 32."""
        tensor = self.tensors.get(PREFIX + name)
        fits = (
            tensor is not None
            and tensor.dtype == torch.float32
            and tensor.ndim == len(shape)
            and all(
                found == wanted if wanted is not None else 1 <= found <= DIMENSIONS
                for found, wanted in zip(tensor.shape, shape, strict=True)
            )
            and bool(torch.isfinite(tensor).all())
        )
        if tensor is None or not fits:
            raise self.damage(f"'{name}' is missing, or not finite numbers of shape {list(shape)}")
        return tensor.numpy()

    def numbers(self, name: str, length: int, below: int) -> np.ndarray:
        """int64 [length], each from 0 to below - 1."""
        tensor = self.tensors.get(PREFIX + name)
        if tensor is None or tensor.dtype != torch.int64 or tensor.shape != (length,):
            raise self.damage(f"'{name}' is missing, or not {length} whole numbers")
        if bool(((tensor < 0) | (tensor >= below)).any()):
            raise self.damage(f"'{name}' has numbers beyond 0 to {below - 1}")
        return tensor.numpy()
