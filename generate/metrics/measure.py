"""What a metric of generated images is, and its values overall and by condition with their intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from morphoscope.generate.metrics.features import INCEPTION
from morphoscope.generate.metrics.perceptual import LPIPS
from morphoscope.runtime.statistics import Estimate, format_estimate

Key = Literal[
    "kid", "fd", "precision", "recall", "density", "coverage", "diversity", "repeated", "intra_class", "ppl"
]


class Kind(NamedTuple):
    """What is known of a metric before it is measured.

    Attributes:
        title: in tables.
        lowest_is_best: otherwise the highest is.
        digits: decimal places.
        meaning: what the values say, and what not.
        comparison: headings of the two values to compare, in tables; none if there are none.
    """

    title: str
    lowest_is_best: bool
    digits: int
    meaning: str
    comparison: Sequence[str] = ("as many generated images", "floor")


KINDS: Mapping[Key, Kind] = {
    "kid": Kind(
        "KID",
        True,
        4,
        "Kernel distance: how far the distributions of generated and real images are apart. It is unbiased "
        "at any number of images, so that it may be negative where they do not differ. It does not say in "
        "what they differ.",
    ),
    "fd": Kind(
        "Fréchet distance",
        True,
        1,
        "The same by means and covariances. It is the larger, the fewer the images, so compare it only with "
        "values from the same numbers of images, such as the floor. The interval is of what such numbers of "
        "images give on average, not of the distance between the distributions.",
    ),
    "precision": Kind(
        "precision",
        False,
        3,
        "Proportion of generated images that lie among the real ones. Images without detail lie there too.",
    ),
    "recall": Kind(
        "recall",
        False,
        3,
        "Proportion of real images that lie among the generated ones: what the generator can make.",
    ),
    "density": Kind(
        "density",
        False,
        3,
        "How many real images a generated one is close to; 1 for images like the real ones, more for images "
        "that crowd where real ones are common. More than 1 is therefore no praise.",
    ),
    "coverage": Kind(
        "coverage",
        False,
        3,
        "Proportion of real images that have a generated one close by. It rises with the number of generated "
        "images.",
    ),
    "diversity": Kind(
        "diversity",
        False,
        3,
        "Mean distance between two generated images divided by that between two real ones of different "
        "patients: 1 is ideal, near 0 a collapse.",
    ),
    "repeated": Kind(
        "repeated pairs",
        True,
        4,
        "Proportion of the pairs of generated images that show the same image twice: k images, all equally "
        "frequent, would give 1/k. It has no interval.",
        (),
    ),
    "intra_class": Kind(
        "perceptual diversity",
        False,
        3,
        "Mean perceptual distance between two generated images of a condition divided by that between two "
        "real ones of different patients: 1 is ideal, near 0 a collapse.",
        ("distance, generated", "distance, real"),
    ),
    "ppl": Kind(
        "path length",
        True,
        2,
        "Perceptual path length: how fast images change along paths in W, as squared perceptual distance per "
        "squared step. Shorter paths are smoother, but a generator that makes one image has the shortest.",
        (),
    ),
}

# Names that the values have only with the weights that they were published with.
_PUBLISHED: Mapping[tuple[Key, str], str] = {
    ("kid", INCEPTION): "kid",
    ("fd", INCEPTION): "fid",
    ("ppl", f"{LPIPS}_vgg"): "ppl",
}


@dataclass(frozen=True)
class Measured:
    """A value with its 95% interval, and what to compare it with; NaN where there is none.

    Attributes:
        estimate: the ends are NaN if there are too few patients for an interval.
        floor: the value of real images in place of generated ones: one half of them, by patient, against the
            other half. Of perceptual diversity: the mean distance of two real images.
        beside_floor: the value of as many generated images against the same half. Of perceptual diversity:
            the mean distance of two generated images.
    """

    estimate: Estimate
    beside_floor: float = math.nan
    floor: float = math.nan

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.estimate.low)

    def text(self, digits: int) -> str:
        """ "0.41 (0.33 to 0.49)", or without the interval; "–" for no value."""
        if math.isnan(self.estimate.value):
            return "–"
        if not self.has_interval:
            return number_text(self.estimate.value, digits)
        return format_estimate(self.estimate, digits)


@dataclass(frozen=True)
class Measure:
    """One metric by one network.

    Attributes:
        key: of `KINDS`.
        network: name of the feature network or perceptual network.
        overall: of all conditions, in the proportions of the real images.
        by_condition: in the order of the cohort.
    """

    key: Key
    network: str
    overall: Measured
    by_condition: dict[str, Measured] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """In files: "kid_<network>"; the reserved names "kid" and "fid" are those of published weights."""
        return _PUBLISHED.get((self.key, self.network), f"{self.key}_{self.network}")

    @property
    def title(self) -> str:
        """In tables: with the network, unless the name is one of those that published weights have."""
        if self.name in _PUBLISHED.values():
            return self.name.upper()
        return f"{KINDS[self.key].title} ({self.network})"

    def worst_first(self) -> list[str]:
        """The conditions, those with the worst values first and those without a value last."""
        sign = -1 if KINDS[self.key].lowest_is_best else 1

        def rank(name: str) -> tuple[bool, float]:
            value = self.by_condition[name].estimate.value
            return math.isnan(value), sign * value

        return sorted(self.by_condition, key=rank)

    def named_values(self) -> dict[str, float | list[float] | None]:
        """Values and intervals by name; "/<condition>" is appended for a condition."""
        found: dict[str, float | list[float] | None] = {}
        everything = [("", self.overall), *((f"/{name}", one) for name, one in self.by_condition.items())]
        for suffix, one in everything:
            found[f"{self.name}{suffix}"] = _or_none(one.estimate.value)
            if one.has_interval:
                found[f"{self.name}_interval{suffix}"] = [one.estimate.low, one.estimate.high]
            if not math.isnan(one.floor):
                found[f"{self.name}_beside_floor{suffix}"] = _or_none(one.beside_floor)
                found[f"{self.name}_floor{suffix}"] = one.floor
        return found


def number_text(value: float, digits: int) -> str:
    """A number for tables; "–" for none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
