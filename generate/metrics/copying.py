"""Whether a generator copies its training images: two tests on distances between features, by condition.

Both compare a generated image's distance to its nearest training image. The first compares it with the same
distance of held-out real images (Meehan et al. 2020, "A Non-Parametric Test to Detect Data-Copying in
Generative Models"). It is small, too, for images without detail, which lie in the middle of all others. The
second test is exact for those as well: it compares with the generated image's distance to its nearest
held-out image, and exchanges training and held-out patients at random.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.generate.metrics.neighbours import nearest
from morphoscope.runtime.roc import auroc, fraction_below
from morphoscope.runtime.statistics import Estimate

FEWEST_PATIENTS = 4  # held out of a condition; from fewer no test could reject

_EXCHANGES = 4999
_NEIGHBOURS = 32  # of a generated image that can be its nearest in an exchange
_AT_ONCE = 2_000_000  # comparisons in memory at once


@dataclass(frozen=True)
class RealFeatures:
    """Features of real images with their conditions and patients.

    Attributes:
        features: [N, D].
        conditions, groups: names of each image's condition and patient, [N].
    """

    features: np.ndarray
    conditions: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, cohort: Cohort) -> "RealFeatures":
        """Features [N, D] of all images of a cohort."""
        return cls(features, cohort.rows["condition"].to_numpy(), cohort.rows["group"].to_numpy())

    def of_condition(self, name: str) -> "RealFeatures":
        """Those of one condition."""
        own = self.conditions == name
        return RealFeatures(self.features[own], self.conditions[own], self.groups[own])


@dataclass(frozen=True)
class Copying:
    """How close generated images are to the training images.

    Attributes:
        generated, training, held_out, patients: numbers of images, and of patients held out.
        closer: probability that a generated image is closer to the training images than a held-out one is,
            with its 95% interval: 0.5 is ideal, 1 a copy machine, 0 images unlike any photograph.
        c_t: Meehan's statistic, negative for copies; standard normal for images like the held-out ones if it
            is of one condition.
        p_value: one-sided, of `c_t`.
        pull: how much closer a generated image is to its nearest training image than to its nearest held-out
            one, as a fraction of the sum of both distances, beyond what the numbers of images explain; 0 is
            ideal, near 1 a copy machine.
        pull_p_value: one-sided, from exchanges of patients; at least 0.0002.
    """

    generated: int
    training: int
    held_out: int
    patients: int
    closer: Estimate
    c_t: float
    p_value: float
    pull: float
    pull_p_value: float


@dataclass(frozen=True)
class CopyingReport:
    """Tests of one generator by one feature network.

    Attributes:
        network: name of the feature network.
        overall: of all conditions with held-out images, each weighted by its number of held-out patients.
        by_condition: without conditions that have fewer than 4 patients held out.
    """

    network: str
    overall: Copying
    by_condition: dict[str, Copying]

    def named_values(self) -> dict[str, float]:
        """All values by name: closer_<network>, c_t_<network>, pull_<network> …, and "/<condition>"."""
        values: dict[str, float] = {}
        found = {"": self.overall, **{f"/{name}": one for name, one in self.by_condition.items()}}
        for suffix, one in found.items():
            values |= {
                f"closer_{self.network}{suffix}": one.closer.value,
                f"c_t_{self.network}{suffix}": one.c_t,
                f"c_t_{self.network}_p{suffix}": one.p_value,
                f"pull_{self.network}{suffix}": one.pull,
                f"pull_{self.network}_p{suffix}": one.pull_p_value,
            }
        return values

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CopyingReport":
        """The report that `as_json` described; UserError if the values describe something else."""

        def copying(found: dict[str, Any]) -> Copying:
            return Copying(**{**found, "closer": Estimate(*found["closer"])})

        try:
            by_condition = {name: copying(found) for name, found in values["by_condition"].items()}
            return cls(values["network"], copying(values["overall"]), by_condition)
        except (LookupError, TypeError, AttributeError) as error:
            raise UserError(f"Not a report on copies by a generator ({error}).") from error


def measure_copying(
    network: str,
    training: RealFeatures,
    held_out: RealFeatures,
    generated: Mapping[str, np.ndarray],
    seed: int = 0,
) -> CopyingReport | None:
    """Test generated images, {condition: features [M, D]}, for copies of training images.

    Nearest images are those of any condition. The conditions are the cells of Meehan's statistic C_T.

    Args:
        seed: of the exchanges.

    Returns:
        None if fewer than 4 patients with generated conditions are held out.
    """
    patients = {name: len(set(held_out.groups[held_out.conditions == name])) for name in generated}
    patients = {name: count for name, count in patients.items() if count}
    if sum(patients.values()) < FEWEST_PATIENTS:
        return None
    generated = {name: generated[name] for name in patients}
    pulls = _pulls(training, held_out, generated, seed)
    to_training = nearest(held_out.features, training.features)[0][:, 0]
    tests = {}
    for name, features in generated.items():
        own = held_out.conditions == name
        of_generated = nearest(features, training.features)[0][:, 0]
        closer = _closer(of_generated, to_training[own], held_out.groups[own])
        c_t = _z_score(of_generated, to_training[own], held_out.groups[own])
        numbers = len(features), int((training.conditions == name).sum()), int(own.sum()), patients[name]
        tests[name] = Copying(*numbers, closer, c_t, float(norm.cdf(c_t)), *_excess(pulls[name]))
    overall = _combined(tests, pulls)
    return CopyingReport(
        network, overall, {name: one for name, one in tests.items() if one.patients >= FEWEST_PATIENTS}
    )


def _closer(generated: np.ndarray, held_out: np.ndarray, groups: np.ndarray) -> Estimate:
    """Probability that a generated image is closer to the training images than a held-out one is.

    Args:
        generated, held_out: distances to the nearest training image, [M] and [N].
        groups: of the held-out images, [N].
    """
    scores = -np.concatenate([generated, held_out])
    alone = [f"generated image {k}" for k in range(len(generated))]
    return auroc(scores, np.arange(len(scores)) < len(generated), np.concatenate([alone, groups]))


def _z_score(generated: np.ndarray, held_out: np.ndarray, groups: np.ndarray) -> float:
    """Meehan's Z_U (section 3.1), the standardised Mann-Whitney statistic; arguments as for `_closer`.

    A patient with several images counts as one observation. The variance of the mean of its ranks is at
    most that of one rank, so that the test can only become more cautious.
    """
    _, owner = np.unique(groups, return_inverse=True)
    closer = np.bincount(owner, weights=fraction_below(generated, held_out)) / np.bincount(owner)
    patients, images = len(closer), len(generated)
    return float(0.5 - closer.mean()) / math.sqrt((patients + images + 1) / (12 * patients * images))


def _combined(tests: Mapping[str, Copying], pulls: Mapping[str, np.ndarray]) -> Copying:
    """C_T (section 3.2): the mean of the conditions' statistics, weighted by the held-out patients."""
    total = sum(one.patients for one in tests.values())
    weights = {name: one.patients / total for name, one in tests.items()}

    def mean(values: Mapping[str, float]) -> float:
        return sum(weights[name] * value for name, value in values.items())

    def root_of_squares(values: Mapping[str, float]) -> float:
        return math.sqrt(sum((weights[name] * value) ** 2 for name, value in values.items()))

    value = mean({name: one.closer.value for name, one in tests.items()})
    # The interval of a sum from those of its terms (Zou and Donner 2008).
    below = root_of_squares({name: one.closer.value - one.closer.low for name, one in tests.items()})
    above = root_of_squares({name: one.closer.high - one.closer.value for name, one in tests.items()})
    c_t = mean({name: one.c_t for name, one in tests.items()})
    pull = np.sum([weights[name] * found for name, found in pulls.items()], axis=0)
    excess, pull_p_value = _excess(pull)
    return Copying(
        generated=sum(one.generated for one in tests.values()),
        training=sum(one.training for one in tests.values()),
        held_out=sum(one.held_out for one in tests.values()),
        patients=total,
        closer=Estimate(value, value - below, value + above),
        c_t=c_t,
        p_value=float(norm.cdf(c_t / root_of_squares(dict.fromkeys(tests, 1.0)))),
        pull=excess,
        pull_p_value=pull_p_value,
    )


def _excess(pull: np.ndarray) -> tuple[float, float]:
    """The first of the values [1 + exchanges] above the mean of the others, and its one-sided p-value."""
    observed, exchanged = pull[0], pull[1:]
    # Sums in another order differ in their last digits.
    as_large = int((exchanged >= observed - 1e-12).sum())
    return float(observed - exchanged.mean()), (1 + as_large) / (1 + len(exchanged))


def _pulls(
    training: RealFeatures, held_out: RealFeatures, generated: Mapping[str, np.ndarray], seed: int
) -> dict[str, np.ndarray]:
    """Means by condition of (h - t) / (h + t), [1 + exchanges]: as it is, and after exchanges of patients.

    t and h are distances to the nearest training and held-out image; of one that is not among the 32 nearest
    real images, the distance to the last of these. If the generator does not depend on which patients were
    held out, all the values have the same distribution.
    """
    real = np.concatenate([training.features, held_out.features])
    held = _exchanged(training, held_out, seed)
    pulls = {}
    for name, features in generated.items():
        distances, order = nearest(features, real, _NEIGHBOURS)
        step = max(1, _AT_ONCE // order.size)
        parts = [_pull(distances, held[start : start + step, order]) for start in range(0, len(held), step)]
        pulls[name] = np.concatenate(parts)
    return pulls


def _pull(distances: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The mean pull, [E].

    Args:
        distances: to the nearest real images, [M, k], ascending.
        held: which of these are held out, by exchange, bool [E, M, k].
    """
    last = distances.shape[1] - 1
    rows = np.arange(len(distances))
    to_held = distances[rows, np.where(held.any(axis=2), held.argmax(axis=2), last)]
    to_training = distances[rows, np.where(held.all(axis=2), last, (~held).argmax(axis=2))]
    total = to_held + to_training
    return np.asarray(((to_held - to_training) / np.where(total > 0, total, 1)).mean(axis=1))


def _exchanged(training: RealFeatures, held_out: RealFeatures, seed: int) -> np.ndarray:
    """Which of the training images and then the held-out ones are held out, bool [1 + exchanges, T + H].

    The first row is as it is. In the others, patients have changed places within their conditions. A patient
    with several conditions belongs to the first of them in alphabetical order.
    """
    random = np.random.default_rng(seed)
    groups = np.concatenate([training.groups, held_out.groups])
    conditions = np.concatenate([training.conditions, held_out.conditions])
    _, owner = np.unique(groups, return_inverse=True)
    by_owner = np.lexsort((conditions, owner))
    _, first = np.unique(owner[by_owner], return_index=True)
    stratum = conditions[by_owner][first]  # of each patient
    held = np.zeros(len(stratum), bool)
    held[owner[len(training.groups) :]] = True
    table = np.tile(held, (1 + _EXCHANGES, 1))
    for name in np.unique(stratum):
        own = np.flatnonzero(stratum == name)
        table[1:, own] = random.permuted(table[1:, own], axis=1)
    return table[:, owner]
