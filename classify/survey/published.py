"""The figures that Duong et al. (2022) published, for comparison."""

from typing import NamedTuple

SOURCE = (
    "Duong et al. 2022, Neural network classifiers for images of genetic conditions with cutaneous "
    "manifestations, HGG Advances 3, 100053"
)
_ONE_WAY = "the interval is that of ICC(1,1) for n = 30 subjects and k = 3 raters"


class Published(NamedTuple):
    """One figure; accuracies and their differences (classifier - clinicians) are shares in [-1, 1]."""

    quantity: str
    view: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""


# The intervals of the ICCs tell their form and their numbers: of ICC(1,1) and ICC(C,1), with n = 30 and k = 3
# either way round, only ICC(1,1) gives both intervals to three decimals for some value that rounds to the
# printed one. The first is that of -0.315; the second that of -0.0899.
PUBLISHED = (
    Published("accuracy of the classifier", "focused", 0.814),
    Published("accuracy of the classifier", "panoramic", 0.814),
    Published("difference against pediatricians", "focused", 0.373),
    Published("difference against pediatricians", "panoramic", 0.287),
    Published("difference against geneticists", "focused", 0.218),
    Published("difference against geneticists", "panoramic", 0.127),
    Published("ICC", "one of two", -0.315, -0.393, -0.176, f"printed as .315, without its sign; {_ONE_WAY}"),
    Published("ICC", "the other", -0.090, -0.244, 0.137, f"{_ONE_WAY}, of -0.0899"),
)
