"""The interval over folds, seeds and patients: by hand where that is possible, by simulation elsewhere."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from morphoscope.runtime.nested_statistics import Components, FoldScores, nested_difference

DESIGN = (5, 2, 3)  # folds, generator seeds, classifier seeds
simulated = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "nested_coverage.py"))["simulated"]


def rates(effect: float, folds: float, seeds: float, studies: int) -> tuple[float, float]:
    """(how often the interval holds the effect, how often the arms count as equivalent within the effect)."""
    random = np.random.default_rng(0)
    every = [nested_difference(simulated(random, effect, folds, seeds, DESIGN)) for _ in range(studies)]
    held = [one.estimate.low <= effect <= one.estimate.high for one in every]
    erred = [one.equivalence_p(effect) < 0.05 for one in every] if effect else [False]
    return float(np.mean(held)), float(np.mean(erred))


def test_the_interval_holds_the_truth_and_equivalence_seldom_errs() -> None:
    held, erred = rates(0.04, folds=0.01, seeds=0.01, studies=60)
    assert held >= 0.88 and erred <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "seeds"), [(0.0, 0.0), (0.01, 0.01), (0.02, 0.01)])
def test_coverage_and_error_of_equivalence(folds: float, seeds: float) -> None:
    """200 studies each, of an effect that is just too large to count as equivalent."""
    held, erred = rates(0.04, folds, seeds, studies=200)
    assert 0.93 <= held <= 0.97
    assert erred <= 0.05


def test_one_fold_and_one_training_are_a_t_interval_over_patients() -> None:
    values = np.random.default_rng(1).normal(0.1, 1, 40)
    fold = FoldScores(values[None, None], np.arange(40).astype(str), np.zeros(40, int))
    found = nested_difference([fold])
    error = values.std(ddof=1) / np.sqrt(40)
    half = student.ppf(0.975, 39) * error
    np.testing.assert_allclose(found.estimate, [values.mean(), values.mean() - half, values.mean() + half])
    assert found.components.generators == found.components.classifiers == found.components.folds == 0


def test_images_of_one_patient_are_no_more_patients() -> None:
    values = np.random.default_rng(2).normal(0.1, 1, 40)
    names, classes = np.arange(40).astype(str), np.arange(40) % 2
    once = nested_difference([FoldScores(values[None, None], names, classes)])
    thrice = nested_difference(
        [FoldScores(np.tile(values, 3)[None, None], np.tile(names, 3), np.tile(classes, 3))]
    )
    np.testing.assert_allclose(once.estimate, thrice.estimate)


def test_differences_between_folds_alone_are_a_t_interval_over_folds() -> None:
    means = np.array([0.1, 0.3, -0.1, 0.2])
    folds = [
        FoldScores(np.full((2, 2, 6), mean), np.arange(6).astype(str), np.arange(6) % 3) for mean in means
    ]
    found = nested_difference(folds)
    half = student.ppf(0.975, 3) * means.std(ddof=1) / 2
    np.testing.assert_allclose(found.estimate, [means.mean(), means.mean() - half, means.mean() + half])
    np.testing.assert_allclose(found.components.folds, means.var(ddof=1))


def test_arms_that_agree_on_a_few_patients_are_not_proven_equal() -> None:
    fold = FoldScores(np.zeros((1, 2, 6)), np.arange(6).astype(str), np.arange(6) % 2)
    found = nested_difference([fold, fold], bound=1)
    assert found.estimate.low < -0.1 and found.estimate.high > 0.1 and found.p == 1
    assert found.equivalence_p(0.02) > 0.05
    full = FoldScores(np.ones((1, 2, 6)), fold.groups, fold.classes)
    assert nested_difference([full, full], bound=1).estimate.high == 1


def test_the_components_are_those_that_were_simulated() -> None:
    random, count = np.random.default_rng(3), 400
    truth = Components(
        patients=0.5**2 / 20, generators=0.2**2, classifiers=0.1**2, trainings=0.15**2, folds=0.3**2
    )
    folds = []
    for _ in range(count):
        shift = random.normal(0, 0.3) + random.normal(0, 0.2, (3, 1, 1)) + random.normal(0, 0.1, (1, 4, 1))
        values = shift + random.normal(0, 0.15, (3, 4, 1)) + random.normal(0, 0.5, 20)
        folds.append(FoldScores(values, np.arange(20).astype(str), np.zeros(20, int)))
    found = nested_difference(folds).components
    for name in ("patients", "generators", "classifiers", "trainings", "folds"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=0.2)
    assert truth.variance(2, 3, 4) == pytest.approx(
        (truth.patients + truth.generators / 3 + truth.classifiers / 4 + truth.trainings / 12 + truth.folds)
        / 2
    )


def test_noise_of_trainings_on_single_patients_is_not_taken_for_variation_between_seeds() -> None:
    random = np.random.default_rng(4)
    folds = [
        FoldScores(random.normal(0, 1, (3, 4, 50)), np.arange(50).astype(str), np.zeros(50, int))
        for _ in range(300)
    ]
    found = nested_difference(folds).components
    assert found.patients == pytest.approx(1 / (12 * 50), rel=0.2)
    assert max(found.generators, found.classifiers, found.trainings, found.folds) < 0.1 / 50


def test_equivalence_needs_the_whole_interval_within_the_margin() -> None:
    random = np.random.default_rng(5)
    found = nested_difference(simulated(random, 0.0, 0.0, 0.0, DESIGN))
    value, low, high = found.estimate
    assert found.equivalence_p(max(abs(low), abs(high)) + 1e-9) < 0.05
    assert found.equivalence_p(abs(value)) == pytest.approx(0.5)
