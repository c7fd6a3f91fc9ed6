"""Results published by Duong et al. (2022), for comparison."""

from typing import NamedTuple

SOURCE = (
    "Duong et al. 2022, Neural network classifiers for images of genetic conditions with cutaneous "
    "manifestations, HGG Advances 3, 100053"
)
_ONE_WAY = (
    "the interval is that of ICC(1,1) for n = 30 surveys and k = 3 raters: classifier, geneticists and "
    "pediatricians"
)


class Published(NamedTuple):
    """A published value; accuracies are in [0, 1], differences (classifier - clinicians) in [-1, 1].

    Attributes:
        low, high: the ends of its 95% interval; None if none was published.
    """

    quantity: str
    view: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""


# The form of the ICCs, and n and k, are inferred from their intervals: of ICC(1,1) and ICC(C,1), with n = 30
# and k = 3 or the other way round, only ICC(1,1) with n = 30 gives both intervals to three decimals for
# values that round to the printed ones: the first interval for -0.315, the second for -0.0899.
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
