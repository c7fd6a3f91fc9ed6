"""Rules by which an answer is chosen: that of the target conditions only, and the published one."""

from typing import Any, Literal, NamedTuple

import numpy as np

from morphoscope.classify.prediction import Prediction
from morphoscope.runtime.statistics import Estimate, balanced_accuracy, proportion_by_group

TARGETS_ONLY, PUBLISHED_RULE = "target conditions only", "published rule"


class Rule(NamedTuple):
    """How well answers are chosen by one rule.

    "target conditions only": the most probable condition. "published rule": the most probable of all classes,
    also where models count only if they are sure, so that an auxiliary class is a wrong answer; the published
    accuracies are by this rule.

    Attributes:
        accuracy, balanced_accuracy: with 95% intervals.
        auxiliary: proportion of images for which an auxiliary class is the answer, in [0, 1].
    """

    accuracy: Estimate
    balanced_accuracy: Estimate
    auxiliary: float

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {
            "accuracy": self.accuracy._asdict(),
            "balanced_accuracy": self.balanced_accuracy._asdict(),
            "auxiliary": self.auxiliary,
        }


def rules(
    prediction: Prediction, truth: np.ndarray, groups: np.ndarray, first: Literal["targets", "published"]
) -> dict[str, Rule]:
    """How well the answers of a prediction are chosen by each rule; the published one needs joint outputs.

    Args:
        truth: true class, int64 [N], 0 to K - 1.
        groups: patient of each image, [N].
        first: the rule to put first.
    """
    answers = {TARGETS_ONLY: prediction.predicted}
    if prediction.published is not None:
        answers[PUBLISHED_RULE] = prediction.published[0]
    found = {
        name: Rule(
            proportion_by_group(chosen == truth, groups),
            balanced_accuracy(truth, chosen, groups),
            float((chosen >= len(prediction.conditions)).mean()),
        )
        for name, chosen in answers.items()
    }
    return dict(reversed(found.items())) if first == "published" else found
