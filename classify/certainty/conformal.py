"""Prediction sets that contain the true condition at a stated rate: class-conditional CV+."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from morphoscope.classify.certainty.correlation import mean_level
from morphoscope.runtime.statistics import Estimate, proportion_by_group

ROUNDING = 1e-9
"""Tolerance when p-values are compared with alpha: 1 - 0.9 is slightly less than 1/10 in floating point."""


def p_values(calibration: Sequence[np.ndarray], scores: np.ndarray) -> np.ndarray:
    """Cross-conformal p-value of each new image (Vovk 2015): how unusual its scores are.

    p = (1 + number of calibration images whose score, from the model that was not trained on them, is at
    least the new image's score from that same model) / (n + 1).

    Args:
        calibration: F arrays of scores: those of each fold's own images from that fold's model; n in all, in
            any order.
        scores: of the new images from each fold's model, [F, N]; higher is more unusual.

    Returns:
        float64 [N] in (0, 1].
    """
    at_least = sum(
        len(own) - np.searchsorted(np.sort(own), new) for own, new in zip(calibration, scores, strict=True)
    )
    return (1 + at_least) / (1 + sum(map(len, calibration)))


@dataclass(frozen=True)
class Conformal:
    """Scores of the calibration images, from which prediction sets follow.

    The score of an image for a condition is 1 - p(condition), the least ambiguous one (LAC: Sadinle, Lei and
    Wasserman 2019), which makes small sets. It is compared with the images of that condition only (Mondrian,
    Vovk et al. 2005), so that the coverage holds for each condition, including rare ones that a common
    threshold would sacrifice to the frequent. Adaptive sets (APS: Romano, Sesia and Candès 2020) held 3.6
    of 7 conditions instead of 3.0 on 740 images of HAM10000, while LAC covered no condition worse.

    What is guaranteed: the scores come from single models, each on images that it was not trained on, but a
    new image is predicted by all models. CV+ (Barber et al. 2021; Romano et al. 2020) bridges that: each
    calibration image is compared with the new one as predicted by the same fold's model, and the p-value is
    in effect the mean of the folds'. For exchangeable images a set at level a then contains the true
    condition with a probability of at least 1 - 2a - sqrt(2/n), with n calibration images of that condition,
    whatever the models: little for a rare condition (see `guarantee`). In practice it is about 1 - a if the
    models are alike, and more if they differ, since their mean is rarely small. `level` allows for that, by
    the correlation of the models. With one fold this is split conformal prediction, with threshold
    ceil((n + 1)(1 - alpha)) / n and the full 1 - alpha. Three things weaken the guarantee here: several
    images of one patient are not exchangeable with those of others; a model's best epoch may have been chosen
    on its calibration images (`patience`); and new images from another clinic, camera or population have no
    guarantee at all.

    Attributes:
        scores: float32 [n] in [0, 1], for each image's true condition.
        truth: true class, int64 [n], 0 to K - 1.
        fold: position of the image's fold in the ensemble, int64 [n], 0 to F - 1.
        coverage: 1 - alpha, in (0, 1).
        models: F.
        correlation: between two models, in [0, 1]; see `logit_correlation`.
    """

    scores: np.ndarray
    truth: np.ndarray
    fold: np.ndarray
    coverage: float
    models: int = 1
    correlation: float = 1.0

    @classmethod
    def fit(
        cls,
        probabilities: np.ndarray,
        truth: np.ndarray,
        fold: np.ndarray,
        coverage: float,
        models: int = 1,
        correlation: float = 1.0,
    ) -> "Conformal":
        """Scores of out-of-fold images.

        Args:
            probabilities: float32 [n, K] at temperature 1, because the temperature is fitted to these images.
            truth, fold, coverage, models, correlation: as the attributes.
        """
        scores = 1 - probabilities[np.arange(len(truth)), truth]
        return cls(scores.astype(np.float32), truth, fold, coverage, models, correlation)

    @property
    def level(self) -> float:
        """The p-value up to which a condition is ruled out."""
        return mean_level(1 - self.coverage, self.correlation, self.models)

    def guarantee(self, condition: int) -> float:
        """The coverage that theory promises for a condition, whatever the models: in [0, 1]."""
        images = int((self.truth == condition).sum())
        if images == 0:  # never ruled out
            return 1.0
        if self.models == 1:
            return 1 - self.level
        return max(0.0, 1 - 2 * self.level - float(np.sqrt(2 / images)))

    def sets(self, per_fold: np.ndarray) -> np.ndarray:
        """The conditions that remain possible; an answer is added by `with_answers`.

        A condition with fewer calibration images than 1 / level - 1 (9 at 90% and one model) is always
        possible: nothing can exclude it.

        Args:
            per_fold: probabilities, float32 [F, N, K], at temperature 1.

        Returns:
            bool [N, K].
        """
        folds, _, classes = per_fold.shape
        return np.stack(
            [
                p_values(
                    [self.scores[(self.truth == k) & (self.fold == f)] for f in range(folds)],
                    (1 - per_fold[:, :, k]).astype(np.float32),
                )
                > self.level + ROUNDING
                for k in range(classes)
            ],
            axis=1,
        )


def with_answers(sets: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Sets bool [N, K] that also hold the answer, int64 [N], given beside them.

    A set that is empty, or excludes the answer, would confuse, and more conditions only add to the coverage.
    """
    return sets | (np.arange(sets.shape[1]) == answers[:, None])


def cross_fitted(
    probabilities: np.ndarray, truth: np.ndarray, fold: np.ndarray, coverage: float
) -> np.ndarray:
    """Prediction sets of out-of-fold images, each from the scores of the other folds.

    An image's own score does not help to cover it, so that coverage and size are not too good.

    Args:
        probabilities: float32 [N, K] at temperature 1, of each image from its own fold's model.
        truth: true class, int64 [N].
        fold: name or number of each image's fold, [N], at least two different ones.
        coverage: 1 - alpha, in (0, 1).

    Returns:
        bool [N, K].
    """
    result = np.zeros(probabilities.shape, bool)
    for name in np.unique(fold):
        here = fold == name
        others = Conformal.fit(
            probabilities[~here], truth[~here], np.zeros((~here).sum(), np.int64), coverage
        )
        result[here] = others.sets(probabilities[None, here])
    return result


@dataclass(frozen=True)
class SetStatistics:
    """How often the prediction sets of some images contain the true condition, and how large they are.

    Attributes:
        coverage: proportion of sets that contain it, with its interval by patient.
        mean_size: conditions per set.
    """

    coverage: Estimate
    mean_size: float

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {"coverage": self.coverage._asdict(), "mean_size": self.mean_size}


@dataclass(frozen=True)
class Coverage:
    """Statistics of prediction sets.

    Attributes:
        overall: over all images.
        single: proportion of sets of exactly one condition.
        by_condition: over each true condition's images; conditions without images are left out.
    """

    overall: SetStatistics
    single: float
    by_condition: dict[str, SetStatistics]

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        by_condition = {name: found.as_json() for name, found in self.by_condition.items()}
        return {**self.overall.as_json(), "single": self.single, "by_condition": by_condition}


def coverage(sets: np.ndarray, truth: np.ndarray, conditions: Sequence[str], groups: np.ndarray) -> Coverage:
    """Measure prediction sets.

    Args:
        sets: bool [N, K], N >= 1.
        truth: true class, int64 [N].
        conditions: K names.
        groups: patient of each image, [N].
    """
    hit, size = sets[np.arange(len(truth)), truth], sets.sum(axis=1)

    def statistics(here: np.ndarray) -> SetStatistics:
        return SetStatistics(proportion_by_group(hit[here], groups[here]), float(size[here].mean()))

    return Coverage(
        statistics(np.ones(len(truth), bool)),
        float((size == 1).mean()),
        {name: statistics(truth == k) for k, name in enumerate(conditions) if (truth == k).any()},
    )
