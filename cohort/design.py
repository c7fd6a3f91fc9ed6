"""What a cohort of this size can show: simulated before anything is trained, from its patients alone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from morphoscope.cohort.folds import assign_folds
from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.configs import UserError
from morphoscope.configs.commands import Auditing

COVERAGE = 0.9
"""Proportion of prediction sets that should hold the true condition, as `classify train` calibrates."""

ALARMS = 0.05
"""Proportion of images of the same kind that should be called another kind of image, likewise."""

_DRAWS, _LEAST_DRAWS, _SAMPLES = 2000, 200, 4_000_000
_POWER = 1.959964 + 0.841621  # normal quantiles: a two-sided test at 5% with a power of 80%
_SPREAD = 2.5  # sum of the parameters of the beta distribution of confidences


@dataclass(frozen=True)
class Part:
    """Some images, and what a proportion, or a mean of proportions, measured on them would be worth.

    Attributes:
        patients, images: how many there are.
        width: mean width of the 95% interval.
        covered: proportion of simulated samples whose interval contains the truth; 0.95 is intended.
    """

    patients: int
    images: int
    width: float
    covered: float


@dataclass(frozen=True)
class ConditionDesign:
    """One condition.

    Attributes:
        evaluated: its images for the evaluation; the proportion is the recall.
        calibration: number of images outside the test fold, which calibrate the prediction sets.
        guarantee: the least probability that its prediction sets hold it, in [0, 1]: 1 - 2 alpha - sqrt(2/n)
            for n calibration images (Barber et al. 2021). Whatever the models; only for exchangeable images.
    """

    name: str
    evaluated: Part
    calibration: int
    guarantee: float


@dataclass(frozen=True)
class Design:
    """What an evaluation of the cohort can show.

    Attributes:
        rows: what is evaluated: "test fold", or "out of fold" if there is no test fold.
        conditions: one per condition, in the cohort's order.
        intervals: all images evaluated, by what is measured on them: accuracy, balanced accuracy, coverage of
            prediction sets, and rate of the alarm.
        error_by_chance, error_limit: mean and 95th percentile of the calibration error of a perfectly
            calibrated model.
        detectable: smallest difference of balanced accuracy that a comparison of two classifiers on the same
            images would find in 80% of cases, for this design and for three changes of it, by name.
    """

    rows: str
    conditions: list[ConditionDesign]
    intervals: dict[str, Part]
    error_by_chance: float
    error_limit: float
    detectable: dict[str, float]

    @property
    def best_change(self) -> str:
        """The change that lowers the detectable difference most."""
        changes = {name: value for name, value in self.detectable.items() if name != "as it is"}
        return min(changes, key=changes.__getitem__)


def audit(rows: pd.DataFrame, settings: Auditing) -> Design:
    """Simulate the evaluation of a cohort with its own numbers of patients and images.

    Nothing is read but the manifest. A cohort without folds is split as `Cohort.split` would.

    Args:
        rows: of the manifest.

    Raises:
        UserError: no real image, some with and some without a fold, or a split that is not possible.
    """
    from morphoscope.runtime.calibration_error import errors_by_chance  # SciPy: other commands go without

    real = _split(rows[rows["source"] == "real"].reset_index(drop=True), settings)
    tested = (real["fold"] == TEST_FOLD).to_numpy()
    chosen = tested if tested.any() else ~tested
    evaluated, random = real[chosen], np.random.default_rng(settings.seed)
    names = sorted(set(real["condition"]))
    conditions = []
    for name in names:
        of_condition = real["condition"] == name
        number = int((of_condition & ~tested).sum())
        conditions.append(
            ConditionDesign(
                name,
                _part([_sizes(real["group"][of_condition & chosen])], settings.accuracy, settings, random),
                number,
                max(0.0, 1 - 2 * (1 - COVERAGE) - (2 / number) ** 0.5) if number else 0.0,
            )
        )
    errors = errors_by_chance(
        _confidences(len(evaluated), len(names), settings, random),
        evaluated["group"].to_numpy(),
        settings.correlation,
        settings.seed,
    )
    sizes = [_sizes(evaluated["group"][evaluated["condition"] == name]) for name in names]
    together = _sizes(evaluated["group"])
    everyone = [_sizes(real["group"][real["condition"] == name]) for name in names]
    return Design(
        "test fold" if tested.any() else "out of fold",
        conditions,
        {
            "accuracy": _part([together], settings.accuracy, settings, random),
            "balanced accuracy": _part(sizes, settings.accuracy, settings, random),
            "coverage of prediction sets": _part([together], COVERAGE, settings, random),
            "images called another kind of image": _part([together], ALARMS, settings, random),
        },
        float(errors.mean()),
        float(np.quantile(errors, 0.95)),
        {
            "as it is": detectable_difference(sizes, settings),
            "twice the patients": detectable_difference([np.tile(one, 2) for one in sizes], settings),
            "every fold evaluated in turn": detectable_difference(everyone, settings),
            "five seeds": detectable_difference(sizes, settings, seeds=5),
        },
    )


def detectable_difference(sizes: list[np.ndarray], settings: Auditing, seeds: int = 1) -> float:
    """The smallest difference of balanced accuracy that a paired comparison finds with a power of 80%.

    Both classifiers answer for the same images, so only those count on which one of them is wrong. Their
    number has the design effect of patients with several images, and each training adds its own variation.

    Args:
        sizes: for each condition the number of images of each of its patients.
        seeds: trainings of each classifier whose difference is averaged.

    Returns:
        In [0, 1].
    """
    of_images = 0.0
    for images in sizes:
        if not len(images):
            return 1.0
        design_effect = 1 + ((images**2).sum() / images.sum() - 1) * settings.correlation
        of_images += settings.disagreement * design_effect / images.sum() / len(sizes) ** 2
    of_training = 2 * settings.seed_variation**2 / seeds
    return float(min(_POWER * (of_images + of_training) ** 0.5, 1))


def _split(real: pd.DataFrame, settings: Auditing) -> pd.DataFrame:
    """The rows with folds: their own, or those of a split with the settings."""
    missing = int((real["fold"] == "").sum())
    if real.empty:
        raise UserError("The cohort has no real image.")
    if missing == len(real):
        return assign_folds(real, settings.folds, settings.seed, settings.test)
    if missing:
        raise UserError(f"{missing} of {len(real)} images have no fold; split the cohort first.")
    return real


def _sizes(groups: pd.Series) -> np.ndarray:
    """Number of images of each group, int64."""
    found: np.ndarray = groups.value_counts().to_numpy(np.int64)
    return found


def _part(sizes: list[np.ndarray], value: float, settings: Auditing, random: np.random.Generator) -> Part:
    """Simulate the mean of one or several conditions' proportions: beta-binomial successes.

    Args:
        sizes: of each condition, or of all together, the number of images of each patient; conditions without
            images are left out, as from a balanced accuracy.
        value: the true proportion, of each condition.
    """
    from morphoscope.runtime.statistics import mean_proportion_interval, proportion_interval  # SciPy

    present = [images for images in sizes if len(images)]
    patients, total = sum(map(len, present)), sum(int(images.sum()) for images in present)
    if not present:
        return Part(0, 0, 1.0, 0.0)
    draws = int(np.clip(_SAMPLES // patients, _LEAST_DRAWS, _DRAWS))
    hits, shown = [], []
    for images in present:
        shape = (draws, len(images))
        own = np.full(shape, value)
        if settings.correlation > 0:
            strength = (1 - settings.correlation) / settings.correlation
            own = random.beta(value * strength, (1 - value) * strength, shape)
        hits.append(random.binomial(images, own))
        shown.append(np.broadcast_to(images, shape))
    one = len(sizes) == 1
    low, high = proportion_interval(hits[0], shown[0]) if one else mean_proportion_interval(hits, shown)
    covered = (low <= value) & (value <= high)
    return Part(patients, total, float((high - low).mean()), float(covered.mean()))


def _confidences(images: int, classes: int, settings: Auditing, random: np.random.Generator) -> np.ndarray:
    """Highest probabilities of a model whose mean confidence is the accuracy, from 1/K to 1."""
    least = 1 / max(classes, 2)
    mean = float(np.clip((settings.accuracy - least) / (1 - least), 0.02, 0.98))
    drawn: np.ndarray = least + (1 - least) * random.beta(_SPREAD * mean, _SPREAD * (1 - mean), images)
    return drawn
