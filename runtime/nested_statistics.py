"""A paired difference over outer folds, generator seeds, classifier seeds and patients, with its uncertainty.

In a study each outer fold has a training set and test patients of its own; in each fold several generators
and several classifiers are trained; all classifiers of a fold predict the same patients. All four levels vary
by chance. Their variances are estimated by moments, as in the analysis of a hierarchical design, and an
interval for the mean difference follows with Satterthwaite's degrees of freedom (1946). A bootstrap that
draws folds, seeds and patients with replacement counts the lower levels twice (docs/lab-notes.md has its
coverage).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from morphoscope.runtime.statistics import Estimate

_LEAST_VARIANCE = 1e-18


@dataclass(frozen=True)
class FoldScores:
    """One outer fold.

    Attributes:
        differences: score of the arm minus that of the reference for each generator seed, classifier seed and
            image, [G, C, N]; G is 1 for an arm without generators.
        groups: patient of each image, [N].
        classes: condition of each image, [N]: the difference is the mean over conditions of the mean over
            their images, as in balanced accuracy. The same number for all gives a plain mean.
    """

    differences: np.ndarray
    groups: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Components:
    """Variances of the levels, in squared units of the score, as far as the design can tell them apart.

    Attributes:
        patients: of a fold's mean, because other patients might have been tested; with the chance by which
            trainings of one kind differ on single patients.
        generators, classifiers: between generator seeds and between classifier seeds of a fold; with one seed
            only, 0 and part of `folds`.
        trainings: of a single training, beyond both.
        folds: between training sets.
    """

    patients: float
    generators: float
    classifiers: float
    trainings: float
    folds: float

    def variance(self, folds: int, generators: int, classifiers: int, patients: float = 1.0) -> float:
        """Variance of the mean difference for these numbers of folds and seeds.

        Args:
            patients: how many times the patients that the components come from.
        """
        seeds = (
            self.generators / generators
            + self.classifiers / classifiers
            + self.trainings / (generators * classifiers)
        )
        return (self.patients / patients + seeds + self.folds) / folds


@dataclass(frozen=True)
class NestedDifference:
    """The mean difference over folds.

    Attributes:
        estimate: with its 95% interval.
        error: its standard error.
        freedom: degrees of freedom of the error.
        p: two-sided, of no difference.
        components: see `Components`.
    """

    estimate: Estimate
    error: float
    freedom: float
    p: float
    components: Components

    def equivalence_p(self, margin: float) -> float:
        """p value of a difference of at least `margin` in either direction, by two one-sided tests.

        Schuirmann 1987. Below 0.05, the arms count as equivalent.
        """
        nearest = margin - abs(self.estimate.value)
        return float(student.sf(nearest / self.error, self.freedom))


def nested_difference(folds: Sequence[FoldScores], bound: float | None = None) -> NestedDifference:
    """The mean over folds of an arm's difference to the reference.

    The components of the variance below the folds are means over the folds; negative ones count as 0. A level
    with a single unit is not separable from the one above it: one generator seed from the fold. With a single
    fold the training set's part is unknown, so that the interval describes this training set alone.

    Args:
        folds: at least one, with the same numbers of seeds.
        bound: largest absolute value of a difference, e.g. 1 where scores are 0 or 1. The interval then stays
            within it, and is at least as wide as with half a patient in favour of either arm: that both agree
            on a few patients does not prove that they always do (cf. `paired_difference`).
    """
    parts = [_within(fold) for fold in folds]
    means = np.array([part.mean for part in parts])
    generators, classifiers = folds[0].differences.shape[:2]
    patients = float(np.mean([part.patients for part in parts]))
    if bound is not None:
        patients = max(patients, bound**2 * float(np.mean([_least_variance(fold) for fold in folds])))
    raw = np.mean([part.excess for part in parts], axis=0)
    own = max(float(raw[2]), 0.0)
    of_generators = max(float(raw[0]) - own / classifiers, 0.0) if generators > 1 else 0.0
    of_classifiers = max(float(raw[1]) - own / generators, 0.0) if classifiers > 1 else 0.0
    seeds = of_generators / generators + of_classifiers / classifiers + own / (generators * classifiers)
    count = len(folds)
    between = max(float(means.var(ddof=1)) - patients - seeds, 0.0) if count > 1 else 0.0
    components = Components(patients, of_generators, of_classifiers, own, between)
    degrees = [
        (patients, sum(part.freedom for part in parts)),
        (of_generators / generators, count * (generators - 1)),
        (of_classifiers / classifiers, count * (classifiers - 1)),
        (own / (generators * classifiers), count * (generators - 1) * (classifiers - 1)),
        (between, count - 1),
    ]
    total = max(sum(part for part, _ in degrees), _LEAST_VARIANCE)
    freedom = total**2 / max(sum(part**2 / n for part, n in degrees if n > 0), _LEAST_VARIANCE**2)
    freedom = float(np.clip(freedom, 1, 1e6))
    value, error = float(means.mean()), float(np.sqrt(total / count))
    half = float(student.ppf(0.975, freedom)) * error
    p = float(2 * student.sf(abs(value) / error, freedom))
    limit = np.inf if bound is None else bound
    ends = float(max(value - half, -limit)), float(min(value + half, limit))
    return NestedDifference(Estimate(value, *ends), error, freedom, p, components)


@dataclass(frozen=True)
class _Within:
    """One fold.

    Attributes:
        mean: of the differences of its trainings.
        patients, freedom: variance of that mean from the choice of patients, and its degrees of freedom.
        excess: variances between generator seeds, between classifier seeds, and of single trainings, [3],
            each without what the choice of patients contributes to it.
    """

    mean: float
    patients: float
    freedom: int
    excess: np.ndarray


def _within(fold: FoldScores) -> _Within:
    scores, residuals, strata = _by_patient(fold)
    generators, classifiers = scores.shape
    grand = scores.mean()

    def centred(values: np.ndarray) -> list[np.ndarray]:
        """Deviations of [G, C, …] between generators, between classifiers, and of single trainings."""
        of_generators = values.mean(axis=1, keepdims=True) - values.mean(axis=(0, 1), keepdims=True)
        of_classifiers = values.mean(axis=0, keepdims=True) - values.mean(axis=(0, 1), keepdims=True)
        own = values - values.mean(axis=(0, 1), keepdims=True) - of_generators - of_classifiers
        return [of_generators, of_classifiers, own]

    degrees = [generators - 1, classifiers - 1, (generators - 1) * (classifiers - 1)]
    excess = []
    for seen, by_patient, n in zip(centred(scores), centred(residuals), degrees, strict=True):
        chance = _patient_variance(by_patient, strata).sum()
        excess.append(((seen**2).sum() - chance) / n if n else 0.0)
    patients = float(_patient_variance(residuals.mean(axis=(0, 1)), strata))
    freedom = len(strata) - len(np.unique(strata))
    return _Within(float(grand), patients, max(freedom, 1), np.array(excess))


def _least_variance(fold: FoldScores) -> float:
    """Variance of a fold's mean if all patients had no difference but two halves, with 1 and -1.

    The added patients are shared among the conditions.
    """
    names = np.unique(fold.classes)
    counts = np.array([len(np.unique(fold.groups[fold.classes == name])) for name in names])
    added = 1 / len(names)
    return float((added / (counts + added) ** 2).sum() / len(names) ** 2)


def _by_patient(fold: FoldScores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores of trainings [G, C], contributions of patients to their errors [G, C, P], strata [P]).

    A patient with several conditions is in the stratum of the first.
    """
    present, place = np.unique(fold.classes, return_inverse=True)
    _, first, owner = np.unique(fold.groups, return_index=True, return_inverse=True)
    values = np.asarray(fold.differences, np.float64)
    images = np.bincount(place)
    of_class = np.eye(len(present))[place] / images  # [N, K]
    means = values @ of_class  # [G, C, K]
    weights = 1 / (len(present) * images[place])
    parts = (values - means[..., place]) * weights
    residuals = parts @ np.eye(len(first))[owner]
    return means.mean(axis=-1), residuals, place[first]


def _patient_variance(residuals: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Variance of sums over patients, who are drawn within strata: [..., P] to [...].

    Strata of a single patient have the mean variance of the others.
    """
    total, known, alone = np.zeros(residuals.shape[:-1]), 0, 0
    for stratum in np.unique(strata):
        of_stratum = residuals[..., strata == stratum]
        count = of_stratum.shape[-1]
        if count == 1:
            alone += 1
            continue
        known += 1
        total = total + (of_stratum**2).sum(axis=-1) * count / (count - 1)
    return total * (known + alone) / max(known, 1)
