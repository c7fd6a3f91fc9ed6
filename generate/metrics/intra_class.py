"""Perceptual diversity within a condition: how different two of its images look, generated against real."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from morphoscope.cohort import Cohort, Fit
from morphoscope.generate.metrics.caching import prepared_images
from morphoscope.generate.metrics.measure import Measure, Measured
from morphoscope.generate.metrics.pairs import mean_of_separate
from morphoscope.generate.metrics.perceptual import PerceptualNetwork, as_tensor
from morphoscope.generate.metrics.selection import sample_of
from morphoscope.runtime.jackknife import jackknife, of_positive
from morphoscope.runtime.progress import track
from morphoscope.runtime.statistics import Estimate

FEWEST_PATIENTS = 3  # with real images of a condition: the distance must remain when one is left out

_MOST = 100  # images of each kind and condition, whose features are in memory together
_AT_ONCE = 16


@dataclass(frozen=True)
class RealImages:
    """Images of patients: uint8 [N, R, R, 3], and the name of each one's condition and patient, [N]."""

    images: np.ndarray
    conditions: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(cls, cohort: Cohort, resolution: int, fit: Fit, grey: bool) -> "RealImages":
        """All images of a cohort; arguments as for `QualityMeter`."""
        conditions, groups = cohort.rows["condition"].to_numpy(), cohort.rows["group"].to_numpy()
        return cls(prepared_images(cohort, resolution, fit, grey), conditions, groups)


def measure_intra_class(
    network: PerceptualNetwork, reals: RealImages, generate: Callable[[str, int], np.ndarray], seed: int = 0
) -> Measure:
    """Mean perceptual distance between two generated images of a condition, divided by that of real ones.

    Two real images are of different patients. The distance is that of LPIPS if the network is. The overall
    value divides the means over conditions, each weighted by its number of real images. Of more than 100
    images of a condition a random sample is used. A condition with fewer than 3 patients has no value.

    Args:
        generate: (condition, number) => that many generated images, uint8 [number, R, R, 3].
        seed: of the blocks that are left out for the intervals.
    """
    names, counts = np.unique(reals.conditions, return_counts=True)
    parts = {}
    for name in track(names, "Measuring diversity within conditions", unit="conditions"):
        own = reals.conditions == name
        if len(set(reals.groups[own])) >= FEWEST_PATIENTS:
            parts[str(name)] = _part(network, reals.images[own], reals.groups[own], str(name), generate)
    nothing = Measured(Estimate(np.nan, np.nan, np.nan))
    by_condition = {
        str(name): _measured([parts[name]], [1.0], seed) if name in parts else nothing for name in names
    }
    shares = [float(count) for name, count in zip(names, counts, strict=True) if name in parts]
    overall = _measured(list(parts.values()), shares, seed) if parts else nothing
    return Measure("intra_class", network.name, overall, by_condition)


@dataclass(frozen=True)
class _Part:
    """The images of one condition.

    Attributes:
        distances: [T, T].
        owners: a patient's name, or that of a generated image, [T].
        real: bool [T].
    """

    distances: np.ndarray
    owners: np.ndarray
    real: np.ndarray

    def mean(self, chosen: np.ndarray) -> float:
        """The mean distance of two chosen images, bool [T], of different owners."""
        one = np.zeros(int(chosen.sum()))  # condition
        return mean_of_separate(self.distances[np.ix_(chosen, chosen)], self.owners[chosen], one)


def _part(
    network: PerceptualNetwork,
    images: np.ndarray,
    groups: np.ndarray,
    name: str,
    generate: Callable[[str, int], np.ndarray],
) -> _Part:
    shown = sample_of(np.arange(len(images)), _MOST)
    made = generate(name, _MOST)
    owners = [f"patient {group}" for group in groups[shown]] + [f"{name} {k}" for k in range(len(made))]
    together = np.concatenate([images[shown], made])
    return _Part(pair_distances(network, together), np.array(owners), np.arange(len(together)) < len(shown))


@torch.no_grad()
def pair_distances(network: PerceptualNetwork, images: np.ndarray) -> np.ndarray:
    """Perceptual distances between all pairs of images uint8 [N, R, R, 3]: float64 [N, N]."""
    features = torch.cat(
        [
            network.features(as_tensor(images[start : start + _AT_ONCE], network.device))
            for start in range(0, len(images), _AT_ONCE)
        ]
    )
    products = (features @ features.T).double().cpu().numpy()
    squares = np.diag(products)
    return np.maximum(squares[:, None] + squares - 2 * products, 0)


def _measured(parts: Sequence[_Part], shares: Sequence[float], seed: int) -> Measured:
    """The ratio of the weighted means of these conditions."""
    real = np.concatenate([part.real for part in parts])
    ends = np.cumsum([len(part.real) for part in parts])[:-1]

    def statistics(kept: np.ndarray) -> np.ndarray:
        chosen = list(zip(parts, np.split(kept, ends), strict=True))
        made = np.average([part.mean(own & ~part.real) for part, own in chosen], weights=shares)
        shown = np.average([part.mean(own & part.real) for part, own in chosen], weights=shares)
        return np.array([made / shown if shown else np.nan, made, shown])

    strata = np.repeat(np.arange(len(parts)), [len(part.real) for part in parts])
    spread = jackknife(statistics, np.concatenate([part.owners for part in parts]), real, strata, seed)
    ratio, made, shown = map(float, spread.values)
    return Measured(of_positive(ratio, float(spread.variances[0]), spread.quantile), made, shown)
