"""Calibration by condition: how often a condition is right when it is named, and how often it is expected."""

from typing import Any, NamedTuple

import numpy as np

from morphoscope.runtime.statistics import Estimate, proportion_by_group


class ClassCalibration(NamedTuple):
    """Probabilities of one condition against its frequency; the two agree in calibrated predictions.

    Attributes:
        condition: its name.
        named: number of images for which it is the most probable condition.
        mean_probability: mean of its probability over these images, in [0, 1]; None if there are none.
        correct: proportion of these images that show it.
        expected: mean of its probability over all images, in [0, 1].
        observed: proportion of all images that show it, in [0, 1].
    """

    condition: str
    named: int
    mean_probability: float | None
    correct: Estimate | None
    expected: float
    observed: float

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {**self._asdict(), "correct": self.correct and self.correct._asdict()}


def class_calibration(
    probabilities: np.ndarray, truth: np.ndarray, groups: np.ndarray, conditions: list[str]
) -> list[ClassCalibration]:
    """Calibration of each condition.

    Args:
        probabilities: float32 [N, K], N >= 1.
        truth: true class, int64 [N].
        groups: patient of each image, [N].
        conditions: K names.
    """
    answers, found = probabilities.argmax(axis=1), []
    for k, name in enumerate(conditions):
        here = answers == k
        named = int(here.sum())
        found.append(
            ClassCalibration(
                name,
                named,
                float(probabilities[here, k].mean()) if named else None,
                proportion_by_group(truth[here] == k, groups[here]) if named else None,
                float(probabilities[:, k].mean()),
                float((truth == k).mean()),
            )
        )
    return found
