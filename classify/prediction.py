"""The predictions of an ensemble: probabilities, how models are combined, and how certain the result is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from morphoscope.classify.certainty import disagreement
from morphoscope.configs import arguments

_SURE = 0.5  # a model is sure of an image if its highest probability exceeds this


@dataclass(frozen=True)
class Prediction:
    """Predictions of F models for N images and K conditions; probabilities are float32 in [0, 1].

    Attributes:
        conditions: K class names, in the order of the probabilities.
        per_fold: [F, N, K], at the ensemble's temperature if it is calibrated.
        combined: [N, K], see `combine`.
        unsure: bool [N]: no model is sure of the image.
        uncalibrated: [N, K], combined from the probabilities at temperature 1.
        coverage: proportion, for images like the training images, of prediction sets that should hold the
            true condition, in (0, 1).
        prediction_sets: bool [N, K]: the conditions that remain possible.
        novelty: float32 [N] in [0, 2], mean distance from the features of the training images.
        novel: bool [N]: out of distribution.
        auxiliary: names of the M auxiliary classes.
        joint: float32 [F, N, K+M], over conditions and auxiliary classes, at temperature 1. All other
            probabilities are among the K conditions alone and sum to 1.

    `uncalibrated`, `coverage`, `prediction_sets`, `novelty` and `novel` are None if the ensemble is not
    calibrated.
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
    def models(self) -> int:
        """F, the number of models that made the prediction."""
        return len(self.per_fold)

    @property
    def sure(self) -> np.ndarray:
        """Which models are sure of an image, bool [F, N]; these alone are combined, see `combine`."""
        return sure_models(self.per_fold)

    @property
    def votes(self) -> np.ndarray:
        """Number of models whose most probable condition is the predicted one, int64 [N], 0 to F."""
        return disagreement.votes(self.per_fold, self.predicted)

    @property
    def agreement(self) -> np.ndarray:
        """Proportion of the models that vote for the predicted condition, float64 [N] in [0, 1]."""
        return self.votes / self.models

    @property
    def mutual_information(self) -> np.ndarray:
        """How far the models disagree, in nats, float64 [N]: 0 where all say the same, ln F at most."""
        return disagreement.mutual_information(self.per_fold)

    @property
    def auxiliary_first(self) -> list[str | None]:
        """Of each image the auxiliary class that the models' mean finds more probable than any condition.

        None where a condition is more probable, or the ensemble has no auxiliary classes; N entries.
        """
        if self.joint is None:
            return [None] * len(self.combined)
        names = [None] * len(self.conditions) + list(self.auxiliary)
        return [names[k] for k in self.joint.mean(axis=0).argmax(axis=1)]

    def of(self, image: int) -> "Prediction":
        """The prediction for one of the N images alone."""
        one = slice(image, image + 1)

        def part(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[one]

        return replace(
            self,
            per_fold=self.per_fold[:, one],
            combined=self.combined[one],
            unsure=self.unsure[one],
            uncalibrated=part(self.uncalibrated),
            prediction_sets=part(self.prediction_sets),
            novelty=part(self.novelty),
            novel=part(self.novel),
            joint=None if self.joint is None else self.joint[:, one],
        )

    def possible(self, image: int) -> list[str] | None:
        """Names in the prediction set of an image, by its number; most probable first.

        None if not calibrated; UserError if there is no such image.
        """
        image = arguments.whole_number("The image's number", image, 0, len(self.combined) - 1)
        if self.prediction_sets is None:
            return None
        order = np.argsort(-self.combined[image], kind="stable")
        return [self.conditions[k] for k in order if self.prediction_sets[image, k]]


def sure_models(per_fold: np.ndarray) -> np.ndarray:
    """Which models give an image's most probable condition more than 0.5: [F, N, K] -> bool [F, N]."""
    return per_fold.max(axis=2) > _SURE


def combine(per_fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Combine the models' probabilities into one prediction per image.

    The mean over the models that are sure of an image (see `sure_models`); where none is, the mean over all
    models, and the image counts as unsure.

    Args:
        per_fold: float32 [F, N, K] in [0, 1].

    Returns:
        (combined float32 [N, K], unsure bool [N]).

    Raises:
        UserError: an array of another kind.
    """
    takes = "an array of numbers [F, N, K], one probability per model, image and class"
    if not isinstance(per_fold, np.ndarray) or per_fold.ndim != 3 or per_fold.dtype.kind != "f":
        arguments.refuse("per_fold", takes, per_fold)
    if per_fold.shape[0] == 0 or per_fold.shape[2] == 0:
        arguments.refuse("per_fold", takes, per_fold)
    counted = sure_models(per_fold)  # [F, N]
    unsure = np.logical_not(counted.any(axis=0))
    weights = np.where(unsure, 1.0, counted).astype(np.float64)
    combined = np.einsum("fn,fnk->nk", weights, per_fold) / weights.sum(axis=0)[:, None]
    return combined.astype(np.float32), unsure
