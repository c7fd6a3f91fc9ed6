"""How close generated images are to real ones: distances and diversity, overall and by condition."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from morphoscope.cohort import Cohort, Fit
from morphoscope.configs import UserError
from morphoscope.generate.metrics.caching import real_features
from morphoscope.generate.metrics.copying import RealFeatures
from morphoscope.generate.metrics.diversity import diversity
from morphoscope.generate.metrics.features import INCEPTION, FeatureNetwork
from morphoscope.generate.metrics.frechet import FeatureStatistics, frechet_distance
from morphoscope.generate.metrics.kernel import kernel_distance
from morphoscope.generate.metrics.modes import repeated_pairs
from morphoscope.generate.metrics.selection import FEWEST_IMAGES, in_proportion
from morphoscope.runtime.progress import Work, working

_AT_ONCE = 64  # generated images in memory at once

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Quality:
    """One set of generated images against one of real ones.

    Attributes:
        generated, real: numbers of images.
        frechet: Fréchet distance; biased upwards, the more so the fewer the images.
        kernel, kernel_deviation: kernel distance (unbiased; preferred for small sets), mean and standard
            deviation over subsets.
        diversity, real_diversity: mean distance between two images of the generated and the real set.
        repeated: proportion of the pairs of generated images that show the same image twice; NaN if it was
            not measured (by an earlier version).
    """

    generated: int
    real: int
    frechet: float
    kernel: float
    kernel_deviation: float
    diversity: float
    real_diversity: float
    repeated: float = math.nan

    @property
    def different(self) -> float:
        """Number of equally frequent images that would repeat as often; infinite if none repeats."""
        return 1 / self.repeated if self.repeated else math.inf

    @property
    def different_text(self) -> str:
        """That number for tables; "–" if it was not measured."""
        if math.isnan(self.repeated):
            return "–"
        return f"{self.different:.0f}" if self.repeated else "no repetition"

    @property
    def relative_diversity(self) -> float:
        """Diversity, generated / real: 1 is ideal, near 0 a collapse; NaN where real images do not differ."""
        return self.diversity / self.real_diversity if self.real_diversity else math.nan


@dataclass(frozen=True)
class QualityReport:
    """The quality of one generator by one feature network; different networks cannot be compared.

    Attributes:
        network: name of the feature network.
        overall: of all conditions, in the proportions of the real images.
        by_condition: without conditions that have fewer than 4 real images.
    """

    network: str
    overall: Quality
    by_condition: dict[str, Quality]

    def named_values(self) -> dict[str, float]:
        """All values by name (spec 6).

        The names are "kid_<network>", "kid_<network>_deviation" (standard deviation), "fd_<network>",
        "diversity_<network>" (generated / real) and "repeated_<network>", and the same with "/<condition>"
        appended. With the published Inception weights they are "kid", "kid_deviation" and "fid", without the
        "50k_full" that elsewhere marks values from 50,000 images.
        """
        kid, fd = f"kid_{self.network}", f"fd_{self.network}"
        if self.network == INCEPTION:
            kid, fd = "kid", "fid"
        values: dict[str, float] = {}
        for suffix, quality in [
            ("", self.overall),
            *((f"/{name}", quality) for name, quality in self.by_condition.items()),
        ]:
            values |= {
                f"{kid}{suffix}": quality.kernel,
                f"{kid}_deviation{suffix}": quality.kernel_deviation,
                f"{fd}{suffix}": quality.frechet,
                f"diversity_{self.network}{suffix}": quality.relative_diversity,
                f"repeated_{self.network}{suffix}": quality.repeated,
            }
        return values

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "QualityReport":
        """The report that `as_json` described; UserError if the values describe something else."""
        try:
            by_condition = {name: Quality(**quality) for name, quality in values["by_condition"].items()}
            return cls(values["network"], Quality(**values["overall"]), by_condition)
        except (LookupError, TypeError, AttributeError) as error:
            raise UserError(f"Not a report on the quality of a generator ({error}).") from error


class QualityMeter:
    """Compares generators with one set of real images, whose features are computed once.

    Attributes:
        reals: features, conditions and patients of the real images.
        counts: {condition: number of its real images}, without conditions that have none.
    """

    def __init__(
        self, network: FeatureNetwork, reals: Cohort, resolution: int, fit: Fit = "crop", grey: bool = False
    ) -> None:
        """
        Args:
            reals: the rows to compare with, e.g. those trained on, or a test fold.
            resolution: R of the generator, pixels. Real images are resized to it first, so that a difference
                in sharpness does not count.
            fit: how real images are made square, as in the training.
            grey: whether the generator is of grey images; real ones are converted, so that colour does not
                count.

        Raises:
            UserError: fewer than 4 real images, or some cannot be read.
        """
        if len(reals) < FEWEST_IMAGES:
            raise UserError(
                f"{reals.root}: {len(reals)} real images to compare with; at least {FEWEST_IMAGES} are "
                "needed."
            )
        self.network = network
        self.resolution = resolution
        features = real_features(network, reals, resolution, fit, grey)
        self.reals = RealFeatures.of(features, reals)
        labels = reals.labels
        self._conditions = reals.conditions
        self._overall = _RealSet(features)
        self.counts = {name: int((labels == k).sum()) for k, name in enumerate(reals.conditions)}
        self.counts = {name: count for name, count in self.counts.items() if count}
        self._by_condition = {
            name: _RealSet(features[labels == reals.conditions.index(name)])
            for name, count in self.counts.items()
            if count >= FEWEST_IMAGES
        }
        scarce = [name for name in self.counts if name not in self._by_condition]
        if scarce:
            log.warning(
                "No separate values for %s: fewer than %d real images.", ", ".join(scarce), FEWEST_IMAGES
            )

    def measure(
        self, sample: Callable[[str, Sequence[int]], np.ndarray], images: int, seed: int = 0
    ) -> QualityReport:
        """Generate images of each condition that occurs among the real ones, and compare.

        Arguments and errors as for `generate`, result as of `compare`.
        """
        return self.compare(self.generate(sample, images, seed), seed)

    def generate(
        self, sample: Callable[[str, Sequence[int]], np.ndarray], images: int, seed: int = 0
    ) -> dict[str, np.ndarray]:
        """Features float32 [images, D] of generated images of each condition among the real ones.

        Image k of a condition has seed `seed` + k times the number of the cohort's conditions + its index, as
        in a synthetic cohort. No global random numbers are drawn, so that those of a training stay the same.

        Args:
            sample: (condition, seeds) -> uint8 [N, R, R, 3]; called for at most 64 seeds at once.
            images: number of images per condition.

        Raises:
            UserError: fewer than 4 images.
        """
        if images < FEWEST_IMAGES:
            raise UserError(f"images: {images} per condition; at least {FEWEST_IMAGES} are needed.")
        total = images * len(self.counts)
        with working("Generating and measuring images", total, unit="images", transient=True) as work:
            found = {}
            for name in self.counts:
                work.status = name
                found[name] = self._generated(sample, name, images, seed, work)
        return found

    def seeds(self, condition: str, images: int, seed: int) -> list[int]:
        """The seeds of the images of a condition that `generate` makes, in order."""
        first, step = seed + self._conditions.index(condition), len(self._conditions)
        return [first + k * step for k in range(images)]

    def compare(self, generated: Mapping[str, np.ndarray], seed: int = 0) -> QualityReport:
        """Compare generated images with the real ones.

        The overall set has the same proportions of conditions as the real images: all generated images of the
        most frequent condition, and the first ones (at least one) of each other condition.

        Args:
            generated: {condition: features [M, D]}, of at least the conditions of the real images.
            seed: of the subsets of the kernel distance.
        """
        together = list(in_proportion(generated, self.counts).values())
        by_condition = {
            name: reals.compare(generated[name], seed) for name, reals in self._by_condition.items()
        }
        overall = self._overall.compare(np.concatenate(together), seed)
        return QualityReport(self.network.name, overall, by_condition)

    def _generated(
        self,
        sample: Callable[[str, Sequence[int]], np.ndarray],
        condition: str,
        images: int,
        seed: int,
        work: Work,
    ) -> np.ndarray:
        """Features float32 [images, D] of generated images."""
        seeds = self.seeds(condition, images, seed)
        features = []
        for start in range(0, images, _AT_ONCE):
            part = seeds[start : start + _AT_ONCE]
            batch = sample(condition, part)
            expected = (len(part), self.resolution, self.resolution, 3)
            assert batch.shape == expected and batch.dtype == np.uint8, "one image of this size per seed"
            features.append(self.network.features(batch))
            work.advance(len(part))
        return np.concatenate(features)


class _RealSet:
    """Features [N, D] of a set of real images, with everything that is computed from them once."""

    def __init__(self, features: np.ndarray) -> None:
        self.features = features
        self.statistics = FeatureStatistics.of(features)
        self.diversity = diversity(features)

    def compare(self, generated: np.ndarray, seed: int) -> Quality:
        """The quality of generated images, given their features [N, D]."""
        kernel = kernel_distance(generated, self.features, seed)
        return Quality(
            generated=len(generated),
            real=len(self.features),
            frechet=frechet_distance(FeatureStatistics.of(generated), self.statistics),
            kernel=kernel.mean,
            kernel_deviation=kernel.sd,
            diversity=diversity(generated),
            real_diversity=self.diversity,
            repeated=repeated_pairs(generated, self.features),
        )
