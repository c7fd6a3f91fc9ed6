"""Sets of conditions that hold the true one at a stated rate: class-conditional CV+."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from morphoscope.runtime.statistics import Estimate, proportion

ROUNDING = 1e-9
"""For comparisons of p-values with alpha: 1 - 0.9 is a little less than 1/10 in floating point."""


def p_values(calibration: Sequence[np.ndarray], scores: np.ndarray) -> np.ndarray:
    """Cross-conformal p-value of each new image (Vovk 2015): how unusual its scores are, in (0, 1].

    p = (1 + number of calibration images whose score, by the model that has not trained on them, is at least
    the new image's by that same model) / (n + 1).

    Args:
        calibration: for each of F folds the scores of its own images by its model, n in all; any order.
        scores: of the new images by each fold's model [F, N]; higher is stranger.
    """
    at_least = sum(
        len(own) - np.searchsorted(np.sort(own), new) for own, new in zip(calibration, scores, strict=True)
    )
    return (1 + at_least) / (1 + sum(map(len, calibration)))


@dataclass(frozen=True)
class Conformal:
    """Scores of the images that the ensemble is calibrated with, from which prediction sets follow.

    The score of an image for a condition is 1 - p(condition), the least ambiguous one (LAC: Sadinle, Lei and
    Wasserman 2019), which makes small sets; compared with the images of that condition only (Mondrian, Vovk
    et al. 2005), so that the coverage holds for each condition, also for rare ones that a common threshold
    would sacrifice to the frequent. Adaptive sets (APS: Romano, Sesia and Candès 2020) held
    3.6 conditions of 7 instead of 3.0 on 740 images of HAM10000, with no condition covered worse by LAC.

    What is guaranteed. The scores are of single models, each on images that it has not trained on, but a new
    image is judged by all. CV+ (Barber et al. 2021; Romano et al. 2020) bridges that: each calibration image
    is compared with the new one as judged by the same fold's model. For exchangeable images the set then
    holds the true condition with probability 1 - 2 alpha - sqrt(2/n) at least, whatever the models, and in
    practice about 1 - alpha. With one fold it is split conformal prediction, with threshold
    ceil((n + 1)(1 - alpha)) / n and the full 1 - alpha. Three things weaken it here: several images of one
    patient are not exchangeable with those of others; a model's best epoch may have been chosen on its
    calibration images (`patience`); and new images from another clinic, camera or population have no
    guarantee at all.

    Attributes:
        scores: float32 [n].
        truth: true class [n].
        fold: position of the image's fold in the ensemble [n].
        coverage: 1 - alpha.
    """

    scores: np.ndarray
    truth: np.ndarray
    fold: np.ndarray
    coverage: float

    @classmethod
    def fit(
        cls, probabilities: np.ndarray, truth: np.ndarray, fold: np.ndarray, coverage: float
    ) -> "Conformal":
        """From out-of-fold probabilities [n, K] at temperature 1, since theirs is fitted on these images."""
        scores = 1 - probabilities[np.arange(len(truth)), truth]
        return cls(scores.astype(np.float32), truth, fold, coverage)

    def sets(self, per_fold: np.ndarray) -> np.ndarray:
        """Which conditions remain possible: probabilities [F, N, K] at temperature 1 -> bool [N, K].

        A condition with fewer than 9 calibration images (at 90%) is always possible: nothing can exclude it.
        The condition with the highest mean always is: a set that is empty, or excludes the answer beside it,
        would confuse, and more conditions only add to the coverage.
        """
        folds, _, classes = per_fold.shape
        possible = np.stack(
            [
                p_values(
                    [self.scores[(self.truth == k) & (self.fold == f)] for f in range(folds)],
                    (1 - per_fold[:, :, k]).astype(np.float32),
                )
                > 1 - self.coverage + ROUNDING
                for k in range(classes)
            ],
            axis=1,
        )
        best = np.arange(classes) == per_fold.mean(axis=0).argmax(axis=1)[:, None]
        return possible | best


def cross_fitted(
    probabilities: np.ndarray, truth: np.ndarray, fold: np.ndarray, coverage: float
) -> np.ndarray:
    """Sets of out-of-fold images, each from the scores of the other folds: [N, K] -> bool [N, K].

    An image's own score does not help to cover it, so that coverage and size are honest.
    """
    result = np.zeros(probabilities.shape, bool)
    for name in np.unique(fold):
        here = fold == name
        others = Conformal.fit(
            probabilities[~here], truth[~here], np.zeros((~here).sum(), np.int64), coverage
        )
        result[here] = others.sets(probabilities[None, here])
    return result


def coverage(sets: np.ndarray, truth: np.ndarray, conditions: Sequence[str]) -> dict[str, Any]:
    """How often sets [N, K] hold the true condition [N] (Wilson's interval), and how large they are.

    Returns:
        {"coverage": estimate, "mean_size", "single" (share of sets of one condition), "by_condition":
        {name: {"coverage", "mean_size"}}}; conditions that do not occur are left out.
    """
    hit, size = sets[np.arange(len(truth)), truth], sets.sum(axis=1)

    def figures(here: np.ndarray) -> dict[str, Any]:
        share: Estimate = proportion(int(hit[here].sum()), int(here.sum()))
        return {"coverage": share._asdict(), "mean_size": float(size[here].mean())}

    return {
        **figures(np.ones(len(truth), bool)),
        "single": float((size == 1).mean()),
        "by_condition": {
            name: figures(truth == k) for k, name in enumerate(conditions) if (truth == k).any()
        },
    }
