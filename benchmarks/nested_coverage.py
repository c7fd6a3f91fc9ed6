"""How often intervals of a study hold the truth: the components' t interval, and a bootstrap of every level.

python benchmarks/nested_coverage.py [STUDIES]
"""

import sys

import numpy as np

from morphoscope.runtime.nested_statistics import FoldScores, nested_difference

EFFECT = 0.04  # true difference of balanced accuracy, which is also the margin of equivalence
CONDITIONS, PATIENTS = 7, 70  # patients per fold
REPLICATES = 500
DESIGNS = [(5, 2, 3), (2, 2, 3), (5, 1, 3)]  # folds, generator seeds, classifier seeds
VARIATIONS = [(0.0, 0.0), (0.01, 0.01), (0.02, 0.01), (0.04, 0.01)]  # SD between folds, between trainings


def simulated(
    random: np.random.Generator, effect: float, folds: float, seeds: float, design: tuple[int, int, int]
) -> list[FoldScores]:
    """Predictions of known truth: correct or not, of two arms, the second better by `effect`.

    Args:
        folds, seeds: standard deviations of the effect between training sets, and between trainings.
        design: numbers of folds, generator seeds and classifier seeds.
    """
    count, generators, classifiers = design
    found = []
    for _ in range(count):
        ease = random.uniform(0.3, 0.85, PATIENTS)  # probability that the reference is correct
        shift = effect + random.normal(0, folds) + random.normal(0, seeds, (generators, classifiers, 1))
        reference = random.random((1, classifiers, PATIENTS)) < ease
        arm = random.random((generators, classifiers, PATIENTS)) < ease + shift
        classes = np.repeat(np.arange(CONDITIONS), PATIENTS // CONDITIONS)
        names = np.arange(PATIENTS).astype(str)
        found.append(FoldScores(arm.astype(float) - reference, names, classes))
    return found


def bootstrap(folds: list[FoldScores], random: np.random.Generator) -> tuple[float, float]:
    """The percentile interval of a bootstrap that draws folds, seeds and, within conditions, patients."""
    means = []
    each = PATIENTS // CONDITIONS
    for _ in range(REPLICATES):
        values = []
        for fold in random.integers(0, len(folds), len(folds)):
            scores = folds[fold].differences
            for axis in (0, 1):
                drawn = random.integers(0, scores.shape[axis], scores.shape[axis])
                scores = scores.take(drawn, axis=axis)
            start = np.repeat(np.arange(CONDITIONS) * each, each)
            values.append(scores[..., start + random.integers(0, each, PATIENTS)].mean())
        means.append(np.mean(values))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def main(studies: int) -> None:
    """Print a Markdown table."""
    print("| folds, seeds | SD of folds, trainings | held | mean width | equivalence errs | bootstrap held |")
    print("|---|---|---|---|---|---|")
    for design in DESIGNS:
        for folds, seeds in VARIATIONS:
            random = np.random.default_rng(0)
            every = [simulated(random, EFFECT, folds, seeds, design) for _ in range(studies)]
            found = [nested_difference(one) for one in every]
            held = np.mean([one.estimate.low <= EFFECT <= one.estimate.high for one in found])
            width = np.mean([one.estimate.high - one.estimate.low for one in found])
            erred = np.mean([one.equivalence_p(EFFECT) < 0.05 for one in found])
            drawn = [bootstrap(one, random) for one in every]
            boot = np.mean([low <= EFFECT <= high for low, high in drawn])
            shown = f"{folds:g}, {seeds:g} | {held:.1%} | {width:.3f} | {erred:.1%} | {boot:.1%}"
            print(f"| {design[0]}, {design[1]} × {design[2]} | {shown} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
