"""Whether a picture is unlike anything that the ensemble was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh

from morphoscope.classify.certainty.conformal import ROUNDING, p_values
from morphoscope.runtime.statistics import auroc, proportion

DIMENSIONS = 32
"""Most principal directions that a subspace has; fewer for few images."""

_LEAST = 1e-12


@dataclass(frozen=True)
class Subspace:
    """Where one model's features of its own training images lie: a mean and the main directions from it.

    Features (the input of the linear head) are scaled to length 1 first. Without that, distances are blind:
    pictures that a network knows nothing of give short features, near everything (Mueller and Hein 2025).

    Attributes:
        mean: float32 [D].
        basis: float32 [Q, D], orthonormal rows.
    """

    mean: np.ndarray
    basis: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray) -> "Subspace":
        """From features [N, D] of the training images."""
        unit = _unit(features)
        mean = unit.mean(axis=0)
        centred = (unit - mean).astype(np.float64)
        size = unit.shape[1]
        kept = max(1, min(DIMENSIONS, len(unit) // 4, size // 4))
        _, directions = eigh(centred.T @ centred, subset_by_index=[size - kept, size - 1])
        return cls(mean.astype(np.float32), np.ascontiguousarray(directions.T, np.float32))

    def distance(self, features: np.ndarray) -> np.ndarray:
        """How far features [N, D] are from the subspace: float32 [N] in [0, 2]."""
        centred = _unit(features) - self.mean
        beside = centred - centred @ self.basis.T @ self.basis
        return np.linalg.norm(beside, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Novelty:
    """A subspace for each fold, and the distances of the images that the fold's model has not trained on.

    A picture's novelty is its mean distance over the folds. It is called novel if its cross-conformal p-value
    (`p_values`) is at most 1 - accepted: then the models are as far from it as from the strangest 5% of the
    images they had not trained on. That share of false alarms is guaranteed up to a factor of 2, and from 19
    such images on; it says nothing of how many strange pictures are found, which has to be measured.

    The distance was chosen on 740 images of HAM10000 against 109 photographs of healthy skin (preset
    lite, one fold): area under the ROC curve 0.99, against 0.97 for the distance to the 20th nearest
    neighbour, 0.96 for the highest probability and for the energy of the logits, of which the last
    accepts plain colours; Mahalanobis distance 0.47, with features of length 1 0.985, but it takes a
    matrix forty times as large. Neighbours would also put every patient's features into the file; a
    subspace holds no single image. With three folds it was 0.994; 89% of the healthy skin and all of the
    noise were called novel, and 1% of the test images, since folds that must concur raise fewer false
    alarms than one.

    Attributes:
        subspaces: of the F folds.
        distances: float32 [n], of the calibration images.
        fold: position of each one's fold [n].
        accepted: share of images like those of the training that shall not be called novel.
    """

    subspaces: Sequence[Subspace]
    distances: np.ndarray
    fold: np.ndarray
    accepted: float

    def detect(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances of new pictures by each fold [F, N] -> (novelty float32 [N], novel bool [N])."""
        own = [self.distances[self.fold == position] for position in range(len(self.subspaces))]
        return distances.mean(axis=0), p_values(own, distances) <= 1 - self.accepted + ROUNDING


def cross_fitted(
    distances: np.ndarray,
    fold: np.ndarray,
    accepted: float,
    known: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Which images would be called novel, each by one fold's model and the other folds' images: bool [N].

    Args:
        distances, fold: of the images to judge, to that model's subspace [N].
        known: distances and folds of the out-of-fold images [n]; None if it is these that are judged.
    """
    compared, compared_fold = (distances, fold) if known is None else known
    novel = np.zeros(len(distances), bool)
    for name in np.unique(fold):
        here, others = fold == name, compared[compared_fold != name]
        novel[here] = p_values([others], distances[None, here]) <= 1 - accepted + ROUNDING
    return novel


def detection(inside: np.ndarray, outside: np.ndarray, novel: np.ndarray) -> dict[str, Any]:
    """How well novelty tells pictures unlike the training images from others.

    Args:
        inside: novelty of images like those of the training [N].
        outside: of others [M].
        novel: which of those others were called novel [M].

    Returns:
        {"auroc", "detected" (share called novel), "missed_at_95" (share of the others that a threshold lets
        pass which accepts 95% of the images inside: the literature's FPR at 95% TPR)}, each with an interval.
    """
    passing = int((outside <= np.quantile(inside, 0.95)).sum())
    return {
        "images": len(outside),
        "auroc": auroc(inside, outside)._asdict(),
        "detected": proportion(int(novel.sum()), len(novel))._asdict(),
        "missed_at_95": proportion(passing, len(outside))._asdict(),
    }


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _LEAST)
