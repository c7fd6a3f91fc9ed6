"""The smallest difference that a design finds in four of five studies, by simulation."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import t as student

from morphoscope.cohort import TEST_FOLD
from morphoscope.configs.study import Study
from morphoscope.runtime.nested_statistics import Components, FoldScores, nested_difference

_STUDIES, _POWER, _LEVEL = 100, 0.8, 0.05


@dataclass(frozen=True)
class Variation:
    """By how much differences vary: standard deviations.

    Attributes:
        images: of the mean difference over trainings for a single image.
        trainings: of an image's difference between trainings.
        seeds: between the scores of trainings, in balanced accuracy.
        folds: between training sets, in balanced accuracy.
    """

    images: float
    trainings: float
    seeds: float
    folds: float

    @classmethod
    def assumed(cls, study: Study) -> "Variation":
        """Of the study's assumptions; half of the disagreement is assumed to be that of single trainings."""
        half = float(np.sqrt(study.disagreement / 2))
        return cls(half, half, study.seed_variation, study.fold_variation)

    @classmethod
    def of_pilot(cls, components: Components, images: float) -> "Variation":
        """Of a finished study.

        Args:
            images: number of images that would have given its `components.patients` if they were independent
                and all conditions had equally many: the mean number per test fold.
        """
        seeds = components.generators + components.classifiers + components.trainings
        return cls(
            float(np.sqrt(components.patients * images)),
            0.0,
            float(np.sqrt(seeds)),
            float(np.sqrt(components.folds)),
        )


def detectable_difference(
    tests: list[pd.DataFrame], generators: int, classifiers: int, variation: Variation, seed: int
) -> float:
    """The difference of balanced accuracy that is found with a power of 80%, at 5%, two-sided.

    Studies without a difference are simulated: normal, with independent patients. A difference shifts all
    values of a study, so that the same simulations tell the power for every difference.

    Args:
        tests: for each outer fold the rows of its test.
    """
    random = np.random.default_rng(seed)
    found = [
        nested_difference([_fold(rows, generators, classifiers, variation, random) for rows in tests])
        for _ in range(_STUDIES)
    ]
    values = np.array([one.estimate.value for one in found])
    limits = np.array([one.error * student.ppf(1 - _LEVEL / 2, one.freedom) for one in found])

    def lacking(difference: float) -> float:
        return _POWER - float(np.mean(np.abs(values + difference) > limits))

    return 1.0 if lacking(1.0) > 0 else float(brentq(lacking, 0, 1, xtol=1e-4))


def tests_of(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each outer fold, from those of `partition.outer_folds`."""
    return [part for fold, part in rows.groupby("fold") if fold != TEST_FOLD]


def _fold(
    rows: pd.DataFrame, generators: int, classifiers: int, variation: Variation, random: np.random.Generator
) -> FoldScores:
    groups, owner = np.unique(rows["group"].to_numpy(dtype=str), return_inverse=True)
    shape = (generators, classifiers)
    of_patient = random.normal(0, variation.images, len(groups))
    values = of_patient + random.normal(0, variation.trainings, (*shape, len(groups)))
    shift = random.normal(0, variation.folds) + random.normal(0, variation.seeds, (*shape, 1))
    classes = np.unique(rows["condition"], return_inverse=True)[1]
    return FoldScores((values + shift)[..., owner], groups[owner], classes)
