"""What distances are worth: p-values for "none of these", and sets of syndromes that contain the true one.

Both come from the gallery itself, each image looked up without those of its own patient and family.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morphoscope.classify.gestalt.gallery import Gallery
from morphoscope.classify.gestalt.nearest import left_out_distances
from morphoscope.runtime.roc import auroc, missed
from morphoscope.runtime.statistics import Estimate

MIN_PATIENTS = 10
"""Patients of syndromes with at least two, below which nothing is calibrated."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of calibration images, each with the weight 1 / (images of its patient).

    Attributes:
        values: sorted, [n].
        weights: of the values, [n]; their sum is the number of patients.
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, values: np.ndarray, patients: np.ndarray) -> "Scores":
        """From scores [n] and the patient of each, in any order."""
        _, owner, counts = np.unique(patients, return_inverse=True, return_counts=True)
        order = np.argsort(values)
        return cls(np.asarray(values, np.float64)[order], 1 / counts[owner][order])

    def p_values(self, scores: np.ndarray) -> NDArray[np.float64]:
        """Conformal p-values in (0, 1]: (1 + patients with a score of at least this) / (1 + patients)."""
        above = np.concatenate([np.cumsum(self.weights[::-1])[::-1], [0.0]])
        return np.asarray((1 + above[np.searchsorted(self.values, scores)]) / (1 + self.weights.sum()))

    def limit(self, alpha: float) -> float | None:
        """The largest score whose p-value is at least `alpha`; None if no score has a smaller one."""
        if 1 / (1 + self.weights.sum()) >= alpha:
            return None
        return float(self.values[self.p_values(self.values) >= alpha].max())


@dataclass(frozen=True, eq=False)
class Calibration:
    """How distances are read.

    Attributes:
        novelty: distances to the nearest image of anybody else, of faces whose syndrome is known.
        conformity: of the same faces the distance to their syndrome, relative to that to the nearest other
            one.
        patients: number of patients that both rest on.
        detection: area under the ROC curve of `novelty` between these faces and the same ones with their
            syndrome left out of the gallery.
        missed: fraction of the left-out syndromes' faces that "none of these" misses at an alarm rate of 5%.
    """

    novelty: Scores
    conformity: Scores
    patients: int
    detection: Estimate
    missed: Estimate

    @classmethod
    def fit(cls, gallery: Gallery) -> "Calibration | None":
        """From a gallery; None if fewer than 10 patients have a syndrome of which there is another patient.

        Patients whom the gallery's head was trained on do not count: they are nearer than new ones will be.

        Sets and alarms hold for new patients who are like those of the gallery's syndromes with two or more
        patients; for a syndrome with a single patient nothing is known.
        """
        distances = left_out_distances(gallery)
        own = distances[np.arange(len(gallery)), gallery.labels]
        usable = np.isfinite(own) & ~gallery.trained
        patients = gallery.patients[usable]
        if len(set(patients)) < MIN_PATIENTS or len(gallery.syndromes) < 2:
            return None
        known = distances[usable].min(axis=1)
        unknown = _without_own(distances, gallery.labels)[usable]
        scores = np.concatenate([known, unknown]).astype(np.float64)
        is_unknown, groups = np.repeat([False, True], len(known)), np.tile(patients, 2)
        return cls(
            novelty=Scores.of(known, patients),
            conformity=Scores.of(relative(own[usable], unknown), patients),
            patients=len(set(patients)),
            detection=auroc(scores, is_unknown, groups),
            missed=missed(scores, is_unknown, groups),
        )

    def novelty_p(self, distances: np.ndarray) -> NDArray[np.float64]:
        """How usual the nearest distance of each new face is if its syndrome is in the gallery: [M].

        Args:
            distances: to syndromes, [M, K].
        """
        return self.novelty.p_values(distances.min(axis=1))

    def syndrome_p(self, distances: np.ndarray) -> NDArray[np.float64]:
        """Conformal p-value of each syndrome for each new face, [M, K]; those above alpha form its set.

        The score is a syndrome's distance relative to that of the nearest other one (Proedrou et al. 2002).
        Sets hold on average over patients, not for each syndrome.
        """
        nearest, second = np.partition(distances, 1, axis=1)[:, :2].T
        others = np.where(distances > nearest[:, None], nearest[:, None], second[:, None])
        return self.conformity.p_values(relative(distances, others))


def relative(own: np.ndarray, other: np.ndarray) -> NDArray[np.float64]:
    """The distance to a syndrome relative to that to the nearest other one."""
    return np.asarray(own / np.maximum(other, 1e-6), np.float64)


def _without_own(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Distance to the nearest image of another syndrome than the own one, [N]."""
    others = distances.copy()
    others[np.arange(len(labels)), labels] = np.inf
    return np.asarray(others.min(axis=1))
