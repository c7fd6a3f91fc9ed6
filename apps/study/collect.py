"""From the cells' predictions to scores, by generator seed, classifier seed and image."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.cells.classifiers import PREDICTIONS, PROBABILITY
from morphoscope.apps.study.plan import Place, StudyPlan
from morphoscope.cohort.csv_tables import MAX_TABLE_BYTES
from morphoscope.cohort.spreadsheet import read_csv

Shots = int | str


@dataclass(frozen=True)
class FoldPredictions:
    """What the classifiers of one arm, number of shots and outer fold predict.

    Attributes:
        probabilities: [G, C, N, K].
        files, groups: of each image, [N].
        truth: number of each image's condition, [N].
    """

    probabilities: np.ndarray
    files: np.ndarray
    groups: np.ndarray
    truth: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Whether the most probable condition is the true one: [G, C, N], 0 or 1."""
        return (self.probabilities.argmax(axis=-1) == self.truth).astype(np.float64)

    @property
    def log_likelihood(self) -> np.ndarray:
        """Natural logarithm of the true condition's probability, [G, C, N]."""
        shown = self.probabilities[..., np.arange(len(self.truth)), self.truth]
        return np.log(np.clip(shown, 1e-12, 1))

    @property
    def brier(self) -> np.ndarray:
        """Sum over conditions of the squared error of the probability, [G, C, N], 0 to 2."""
        wanted = np.eye(self.probabilities.shape[-1])[self.truth]
        return ((self.probabilities - wanted) ** 2).sum(axis=-1)


@dataclass(frozen=True)
class Predictions:
    """All predictions of a study.

    Attributes:
        conditions: in the order of the probabilities.
        folds: {(arm, shots): {outer fold: predictions}}, of the folds whose cells are all finished.
    """

    conditions: list[str]
    folds: dict[tuple[str, Shots], dict[str, FoldPredictions]]

    def pairs(self, arm: str, reference: str, shots: Shots) -> list[tuple[FoldPredictions, FoldPredictions]]:
        """(the reference's, the arm's) in every fold that both have, in the order of the folds."""
        first, second = self.folds.get((reference, shots), {}), self.folds.get((arm, shots), {})
        return [(first[fold], second[fold]) for fold in sorted(first.keys() & second.keys(), key=int)]


def collect(plan: StudyPlan, store: Store) -> Predictions:
    """Read the predictions of the finished cells."""
    conditions: list[str] = []
    places: dict[tuple[str, Shots], dict[str, list[Place]]] = {}
    for place in plan.places:
        places.setdefault((place.arm, place.shots), {}).setdefault(place.fold, []).append(place)
    folds: dict[tuple[str, Shots], dict[str, FoldPredictions]] = {}
    for key, by_fold in places.items():
        for fold, here in by_fold.items():
            if not all(store.is_finished(plan.cells[place.cell]) for place in here):
                continue
            files = [store.folder(plan.cells[place.cell]) / PREDICTIONS for place in here]
            tables = [read_csv(file, MAX_TABLE_BYTES) for file in files]
            columns = [str(column) for column in tables[0]]
            conditions = [name.removeprefix(PROBABILITY) for name in columns if name.startswith(PROBABILITY)]
            folds.setdefault(key, {})[fold] = _joined(tables, here, conditions)
    return Predictions(conditions, folds)


def _joined(tables: list[pd.DataFrame], places: list[Place], conditions: list[str]) -> FoldPredictions:
    first = tables[0]
    generators = len({place.generator_seed for place in places})
    columns = [f"{PROBABILITY}{name}" for name in conditions]
    values = np.stack([table[columns].to_numpy(np.float64) for table in tables])
    assert all((table["file"] == first["file"]).all() for table in tables), "the same test images"
    numbers = {name: number for number, name in enumerate(conditions)}
    return FoldPredictions(
        values.reshape(generators, -1, *values.shape[1:]),
        first["file"].to_numpy(str),
        first["group"].to_numpy(str),
        first["condition"].map(numbers).to_numpy(np.int64),
    )
