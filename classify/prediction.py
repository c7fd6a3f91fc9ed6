"""What an ensemble says of images, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from morphoscope.classify.certainty.disagreement import agreement, mutual_information

_SURE = 0.5  # a fold has a say in the combination if its highest probability exceeds this


@dataclass(frozen=True)
class Prediction:
    """Probabilities that F folds give N images for K conditions, float32 in [0, 1].

    Attributes:
        per_fold: [F, N, K], at the ensemble's temperature where it is calibrated.
        combined: [N, K], see `combine`.
        unsure: bool [N]: no fold's highest probability exceeded 0.5.
        uncalibrated: [N, K], combined as if the temperature were 1.
        coverage: share of images like those of the training whose true condition a set should hold.
        prediction_sets: bool [N, K]: the conditions that remain possible.
        novelty: float32 [N], mean distance from the training images' features; higher is stranger.
        novel: bool [N]: unlike anything that the ensemble was trained on.
        auxiliary: M names of the classes learnt along with the conditions.
        joint: [F, N, K+M], over the conditions and these, at temperature 1. All other probabilities are among
            the K conditions alone: what a model gives them, divided by their sum.

    The five before `auxiliary` are None where the ensemble is not calibrated.
    """

    conditions: list[str]
    per_fold: np.ndarray
    combined: np.ndarray
    unsure: np.ndarray
    uncalibrated: np.ndarray | None = None
    coverage: float | None = None
    prediction_sets: np.ndarray | None = None
    novelty: np.ndarray | None = None
    novel: np.ndarray | None = None
    auxiliary: Sequence[str] = ()
    joint: np.ndarray | None = None

    @property
    def predicted(self) -> np.ndarray:
        """Index of the most probable condition, int64 [N]."""
        return self.combined.argmax(axis=1)

    @property
    def mutual_information(self) -> np.ndarray:
        """How far the folds disagree, in nats, float [N]: 0 where all say the same, ln F at most."""
        return mutual_information(self.per_fold)

    @property
    def agreement(self) -> np.ndarray:
        """Share of the folds whose most probable condition is the predicted one, float [N]."""
        return agreement(self.per_fold, self.predicted)

    def rather(self, image: int) -> str | None:
        """The auxiliary class that the folds' mean finds more probable than every condition; None if none."""
        if self.joint is None:
            return None
        first = int(self.joint[:, image].mean(axis=0).argmax()) - len(self.conditions)
        return self.auxiliary[first] if first >= 0 else None

    def possible(self, image: int) -> list[str] | None:
        """Names in an image's prediction set, most probable first; None if not calibrated."""
        if self.prediction_sets is None:
            return None
        order = np.argsort(-self.combined[image], kind="stable")
        return [self.conditions[k] for k in order if self.prediction_sets[image, k]]


def combine(per_fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Combine the folds' probabilities [F, N, K] -> (combined [N, K], unsure [N]).

    For each image the mean over the folds whose highest probability exceeds 0.5; where there is none, the
    mean over all folds, flagged as unsure.
    """
    sure = per_fold.max(axis=2) > _SURE  # [F, N]
    unsure = ~sure.any(axis=0)
    weights = np.where(unsure, 1.0, sure).astype(np.float64)
    combined = np.einsum("fn,fnk->nk", weights, per_fold) / weights.sum(axis=0)[:, None]
    return combined.astype(np.float32), unsure
