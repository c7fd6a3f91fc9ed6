"""How similar generated images are to real ones: every metric of two sets, overall and by condition.

Each value has an interval for what other patients and other seeds would give on average with the same numbers
of images, and a floor: the same metric between two halves of the real images that share no patient.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from morphoscope.generate.metrics.copying import RealFeatures
from morphoscope.generate.metrics.frechet import FeatureStatistics, frechet_distance
from morphoscope.generate.metrics.manifold import (
    DENSITY_NEIGHBOURS,
    PRECISION_NEIGHBOURS,
    ball_radii,
    coverage,
    density,
    precision,
    recall,
)
from morphoscope.generate.metrics.measure import Key, Measure, Measured
from morphoscope.generate.metrics.modes import repeated_pairs
from morphoscope.generate.metrics.pairs import Pairs
from morphoscope.generate.metrics.selection import FEWEST_IMAGES, in_proportion, sample_of
from morphoscope.runtime.jackknife import (
    Jackknife,
    jackknife,
    of_positive,
    of_proportion,
    of_squared_distance,
)
from morphoscope.runtime.progress import track
from morphoscope.runtime.statistics import Estimate

SIMILARITY: tuple[Key, ...] = ("kid", "fd", "precision", "recall", "density", "coverage", "diversity")
FEWEST_PATIENTS = 6  # for intervals; with 5 every ball would contain all images

_MOST = 1000  # images of each set
_SPLITS = 10  # of the real images into halves
_PER_PATIENT = 3  # cases, see `_estimates`
_NEAR_THE_END = 0.3  # of the highest density

log = logging.getLogger(__name__)


def measure_similarity(
    network: str, reals: RealFeatures, generated: Mapping[str, np.ndarray], seed: int = 0
) -> list[Measure]:
    """All metrics of `SIMILARITY`, and the proportion of repeated pairs.

    The overall set has the same proportions of conditions as the real images. Of more than 1000 images of a
    set, a random sample is used. Metrics of neighbours are left out (NaN) where there are too few patients,
    and so are intervals where there are fewer than 6; the log names these conditions.

    Args:
        network: name of the feature network.
        generated: {condition: features [M, D]}, M at least 4, of every condition of the real images.
        seed: of samples, blocks and halves.
    """
    names = [str(name) for name in np.unique(reals.conditions)]
    parts = {name: reals.of_condition(name) for name in names}
    parts = {name: part for name, part in parts.items() if len(part.groups) >= FEWEST_IMAGES}
    few = [name for name, part in parts.items() if len(set(part.groups)) < FEWEST_PATIENTS]
    if few:
        log.warning("No intervals for %s: fewer than %d patients.", ", ".join(few), FEWEST_PATIENTS)
    found = {
        name: measure_set(part, generated, seed)
        for name, part in track({**parts, "": reals}.items(), "Comparing features", total=1 + len(parts))
    }
    overall = found.pop("")
    return [
        Measure(key, network, one, {name: of_condition[key] for name, of_condition in found.items()})
        for key, one in overall.items()
    ]


def measure_set(
    reals: RealFeatures, generated: Mapping[str, np.ndarray], seed: int = 0
) -> dict[Key, Measured]:
    """The metrics of `measure_similarity` for all these images together."""
    sets = _Sets.of(reals, generated)
    pairs, real = sets.pairs, sets.real

    def statistics(kept: np.ndarray) -> np.ndarray:
        return values_of(pairs, np.flatnonzero(kept & ~real), np.flatnonzero(kept & real))

    if sets.patients >= FEWEST_PATIENTS:
        estimates = _estimates(jackknife(statistics, pairs.owners, real, sets.pairs.strata, seed), sets)
    else:
        values = statistics(np.ones(len(real), bool))
        estimates = [Estimate(float(value), np.nan, np.nan) for value in values]
    beside_floor, floor = _halves(sets, seed)
    found = {
        key: Measured(estimate, *numbers)
        for key, estimate, *numbers in zip(
            SIMILARITY, estimates, beside_floor.tolist(), floor.tolist(), strict=True
        )
    }
    repeated = repeated_pairs(pairs.features[~real], pairs.features[real])
    return found | {"repeated": Measured(Estimate(repeated, np.nan, np.nan))}


@dataclass(frozen=True)
class _Sets:
    """Generated and real images together.

    Attributes:
        pairs: of all images; each generated one is its own owner.
        real: which are real, bool [T].
    """

    pairs: Pairs
    real: np.ndarray

    @classmethod
    def of(cls, reals: RealFeatures, generated: Mapping[str, np.ndarray]) -> "_Sets":
        """Generated images, {condition: features [M, D]}, in the proportions of the real ones."""
        names, counts = np.unique(reals.conditions, return_counts=True)
        chosen = in_proportion(generated, dict(zip(names, counts, strict=True)))
        conditions = np.repeat(list(chosen), [len(part) for part in chosen.values()])
        features = np.concatenate(list(chosen.values()))
        made, shown = (
            sample_of(np.arange(len(features)), _MOST),
            sample_of(np.arange(len(reals.groups)), _MOST),
        )
        _, patient = np.unique(reals.groups[shown], return_inverse=True)
        owners = np.concatenate([patient, patient.max() + 1 + np.arange(len(made))])
        strata = np.concatenate([reals.conditions[shown], conditions[made]])
        pairs = Pairs(np.concatenate([reals.features[shown], features[made]]), owners, strata)
        return cls(pairs, np.arange(len(owners)) < len(shown))

    @property
    def patients(self) -> int:
        return len(np.unique(self.pairs.owners[self.real]))


def values_of(pairs: Pairs, generated: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The metrics of `SIMILARITY`, float64 [7]; NaN where a metric needs more images.

    Args:
        generated, real: indices of the images of the two sets.
    """
    between = pairs.distances[np.ix_(generated, real)]
    near_real, near_generated = pairs.neighbours(real), pairs.neighbours(generated)
    balls = ball_radii(near_real, PRECISION_NEIGHBOURS)
    wide_balls = ball_radii(near_real, DENSITY_NEIGHBOURS)
    generated_balls = ball_radii(near_generated, PRECISION_NEIGHBOURS)
    similar = pairs.mean(pairs.kernel, generated) + pairs.mean(pairs.kernel, real)
    spread = pairs.mean(pairs.distances, real)
    statistics = [FeatureStatistics.of(pairs.features[of]) for of in (generated, real)]
    return np.array(
        [
            similar - 2 * pairs.kernel[np.ix_(generated, real)].mean(),
            frechet_distance(*statistics),
            precision(between, balls) if np.isfinite(balls).all() else np.nan,
            recall(between, generated_balls) if np.isfinite(generated_balls).all() else np.nan,
            density(between, wide_balls, DENSITY_NEIGHBOURS) if np.isfinite(wide_balls).all() else np.nan,
            coverage(between, wide_balls) if np.isfinite(wide_balls).all() else np.nan,
            pairs.mean(pairs.distances, generated) / spread if spread else np.nan,
        ]
    )


def _estimates(spread: Jackknife, sets: _Sets) -> list[Estimate]:
    """The intervals of the values.

    Near 0 and 1 the jackknife finds too little variance, so that an interval is at least that of independent
    cases: for a proportion of real images as many as patients; for one of generated images as many as images,
    but at most three per patient that all of these are compared with. In simulations these numbers keep the
    intervals honest (`tests/generate/metrics/test_similarity_coverage.py`).
    """
    generated, q = int((~sets.real).sum()), spread.quantile
    cases = min(generated, _PER_PATIENT * sets.patients)

    def estimate(key: Key, value: float, variance: float) -> Estimate:
        if np.isnan(value) or np.isnan(variance):
            return Estimate(value, np.nan, np.nan)
        if key == "kid":
            return of_squared_distance(value, variance, q)
        if key == "density":
            return _density_estimate(value, variance, sets, cases, q)
        if key in ("fd", "diversity"):
            return of_positive(value, variance, q)
        return of_proportion(value, variance, cases if key == "precision" else sets.patients, q)

    found = zip(SIMILARITY, spread.values, spread.variances, strict=True)
    return [estimate(key, float(value), float(variance)) for key, value, variance in found]


def _density_estimate(value: float, variance: float, sets: _Sets, cases: int, quantile: float) -> Estimate:
    """The interval of a density, which has an upper end: no image lies in more balls than there are.

    Near that end it is at least as wide as that of the proportion of all balls. A density of 0 says that no
    image lies in any ball: its upper end is that of the proportion that does.
    """
    if value == 0:
        return of_proportion(0.0, 0.0, cases, quantile)
    found = of_positive(value, variance, quantile)
    highest = sets.real.sum() / DENSITY_NEIGHBOURS
    if value < _NEAR_THE_END * highest:
        return found
    scaled = of_proportion(value / highest, variance / highest**2, _PER_PATIENT * sets.patients, quantile)
    low, high = min(found.low, scaled.low * highest), max(found.high, scaled.high * highest)
    return Estimate(value, low, min(high, highest))


def _halves(sets: _Sets, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Values against one half of the real patients: of as many generated images as the other half has, and of
    that half; the means of ten splits, [7] each, NaN if there are too few patients."""
    random = np.random.default_rng(seed)
    real, generated = np.flatnonzero(sets.real), np.flatnonzero(~sets.real)
    if sets.patients < 2 * (PRECISION_NEIGHBOURS + 1):
        nothing = np.full(len(SIMILARITY), np.nan)
        return nothing, nothing
    beside_floor, floor = [], []
    for _ in range(_SPLITS):
        first = _half(sets.pairs.owners[real], sets.pairs.strata[real], random)
        chosen = random.permutation(generated)[: first.sum()]
        beside_floor.append(values_of(sets.pairs, chosen, real[~first]))
        floor.append(values_of(sets.pairs, real[first], real[~first]))
    return np.mean(beside_floor, axis=0), np.mean(floor, axis=0)


def _half(owners: np.ndarray, strata: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The images of every second patient in a random order within each condition: bool [N]."""
    _, first, owner = np.unique(owners, return_index=True, return_inverse=True)
    order = np.lexsort((random.permutation(len(first)), strata[first]))
    inside = np.zeros(len(first), bool)
    inside[order[int(random.integers(2)) :: 2]] = True
    return inside[owner]
