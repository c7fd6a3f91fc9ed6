"""Whether an image is of another kind than the training images: another camera, body site or subject.

A condition that the ensemble does not know, photographed like the others, is mostly not noticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh

from morphoscope.classify.certainty.conformal import ROUNDING, p_values
from morphoscope.runtime.roc import auroc, missed
from morphoscope.runtime.statistics import Estimate, proportion_by_group

DIMENSIONS = 32
"""Maximum number of principal directions of a subspace; fewer for few images."""

_LEAST = 1e-12


@dataclass(frozen=True)
class Subspace:
    """The features that one model computes for its training images: their mean and main directions.

    Features (the input of the linear head) are scaled to length 1 first. Without that, distances are blind:
    images that a network knows nothing of give short features, which are near everything (Mueller and Hein
    2025).

    Attributes:
        mean: float32 [D].
        basis: float32 [Q, D], orthonormal rows, 1 <= Q <= 32.
    """

    mean: np.ndarray
    basis: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray) -> "Subspace":
        """Principal directions of the training images' features, float32 [N, D], N >= 1."""
        unit = _unit(features)
        mean = unit.mean(axis=0)
        centred = (unit - mean).astype(np.float64)
        size = unit.shape[1]
        kept = max(1, min(DIMENSIONS, len(unit) // 4, size // 4))
        _, directions = eigh(centred.T @ centred, subset_by_index=[size - kept, size - 1])
        return cls(mean.astype(np.float32), np.ascontiguousarray(directions.T, np.float32))

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Distance of features [N, D] from the subspace: float32 [N] in [0, 2]."""
        centred = _unit(features) - self.mean
        beside = centred - centred @ self.basis.T @ self.basis
        return np.linalg.norm(beside, axis=1).astype(np.float32)


class NoveltyScores(NamedTuple):
    """How far N images are from the training images.

    Attributes:
        novelty: mean distance over the models, float32 [N] in [0, 2]; higher is more unusual.
        novel: bool [N]: whether there is an alarm.
    """

    novelty: np.ndarray
    novel: np.ndarray


@dataclass(frozen=True)
class Novelty:
    """A subspace per fold, and the distances of images that the fold's model was not trained on.

    An image's novelty is its mean distance over the folds. It is called novel if its p-value is at most
    1 - accepted. Each model has a p-value, the proportion of the calibration images at least as far away,
    which is uniform, on average over the models, for images that none was trained on. They are combined by
    Cauchy's combination (`_combined`), so that the ensemble raises false alarms at the stated rate without
    any estimate of how alike the models are, which training images cannot show: models that memorise them
    are less alike there than on new images. In simulations with two to five models the rate is 4% to 7% with
    120 or 500 calibration images, and 2% to 5% with 60 (`tests/classify/certainty/test_alarm_rate.py`);
    there are no alarms with fewer than 19. The proportion of images of another kind that are detected is not
    guaranteed and has to be measured.

    The distance was chosen on 740 images of HAM10000 against 109 photographs of healthy skin (preset lite,
    one fold): area under the ROC curve 0.99, against 0.97 for the distance to the 20th nearest neighbour,
    0.96 for the highest probability and for the energy of the logits (the latter accepts plain colours), and
    0.47 for the Mahalanobis distance. Of features scaled to length 1 the last has 0.985, but it needs a
    matrix forty times as large. Neighbours would also put every patient's features into the file; a subspace
    holds no single image. With three folds the area was 0.994; 89% of the healthy skin and all of the noise
    were called novel. None of this is about unknown conditions:
    no score tried finds most of their images (`benchmarks/unknown_conditions.py`).

    Attributes:
        subspaces: of the F folds.
        distances: float32 [n] in [0, 2], of each calibration image from the model that was not trained on it.
        accepted: proportion of images like the training images that should not be called novel, in (0, 1).
    """

    subspaces: Sequence[Subspace]
    distances: np.ndarray
    accepted: float

    def detect(self, distances: np.ndarray) -> NoveltyScores:
        """Scores of new images from their distances to each fold's subspace, float32 [F, N]."""
        # All calibration images are compared with every model's distances: those of one fold are often too
        # few for a small p-value. If one model's distances are larger, its p-values are too small and the
        # others' too large, but their mean distribution, on which the combination rests, is still uniform.
        p = np.stack([p_values([self.distances], own[None]) for own in distances])
        novel = _combined(p, len(self.distances)) <= 1 - self.accepted + ROUNDING
        return NoveltyScores(distances.mean(axis=0), novel)


def _combined(p: np.ndarray, images: int) -> np.ndarray:
    """One p-value of F models' p-values for the same images (Cauchy combination test, Liu and Xie 2020).

    Each p-value becomes a standard Cauchy variable, of which the mean is one again: exactly if the models are
    independent or the same, and nearly so in the upper tail whatever their dependence. At 0.05 the rate is
    5.0% to 6.0% for two to five models with normal dependence.

    Args:
        p: in [1 / (images + 1), 1], [F, N].
        images: number of calibration images. p = 1, which alone would veto every alarm, counts as
            images / (images + 1).

    Returns:
        float64 [N] in (0, 1).
    """
    limited = np.minimum(p, images / (images + 1))
    return 0.5 - np.arctan(np.tan((0.5 - limited) * np.pi).mean(axis=0)) / np.pi


def cross_fitted(
    distances: np.ndarray,
    fold: np.ndarray,
    accepted: float,
    known: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Which images would be called novel by one fold's model and the images of the other folds.

    Args:
        distances, fold: of each image to that model's subspace, float32 [N], and the model's fold, [N].
        accepted: as in `Novelty`.
        known: distances and folds of the out-of-fold images to compare with, [n]; if None, they are the
            images themselves.

    Returns:
        bool [N].
    """
    compared, compared_fold = (distances, fold) if known is None else known
    novel = np.zeros(len(distances), bool)
    for name in np.unique(fold):
        here, others = fold == name, compared[compared_fold != name]
        novel[here] = p_values([others], distances[None, here]) <= 1 - accepted + ROUNDING
    return novel


@dataclass(frozen=True)
class Detection:
    """How well novelty separates images of another kind from images like the training images.

    Attributes:
        images: number M of images of another kind.
        auroc: area under the ROC curve.
        detected: proportion of the M images that are called novel.
        missed_at_95: proportion of the M images below the threshold that accepts 95% of the images in
            distribution, whose sampling the interval includes; the literature's FPR at 95% TPR.
    """

    images: int
    auroc: Estimate
    detected: Estimate
    missed_at_95: Estimate

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {
            "images": self.images,
            "auroc": self.auroc._asdict(),
            "detected": self.detected._asdict(),
            "missed_at_95": self.missed_at_95._asdict(),
        }


def detection(
    inside: np.ndarray, inside_groups: np.ndarray, outside: NoveltyScores, groups: np.ndarray
) -> Detection:
    """Measure how well novelty separates images of another kind.

    Args:
        inside: novelty of images like the training images, float32 [N], N >= 1.
        inside_groups: patient of each of the N images, [N]; none of them is also a patient of the M images.
        outside: scores of M images that are not, M >= 1.
        groups: patient of each of the M images, [M].
    """
    patients = [np.unique(names, return_inverse=True)[1] for names in (inside_groups, groups)]
    both = (
        np.concatenate([inside, outside.novelty]),
        np.repeat([False, True], [len(inside), len(groups)]),
        np.concatenate([patients[0], patients[1] + len(inside)]),
    )
    return Detection(
        len(outside.novelty), auroc(*both), proportion_by_group(outside.novel, groups), missed(*both)
    )


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _LEAST)
