"""What is compared between any two of a number of images, computed once."""

import numpy as np

from morphoscope.generate.metrics.kernel import kernel_of


class Pairs:
    """The images of two sets together, T of them, and all their pairs, in float64.

    Attributes:
        features: [T, D].
        owners: patient of each image [T]; each generated image is one of its own.
        strata: condition of each image [T].
        distances: Euclidean, between features, [T, T].
        kernel: that of the kernel distance, [T, T].
    """

    def __init__(self, features: np.ndarray, owners: np.ndarray, strata: np.ndarray) -> None:
        self.features = features.astype(np.float64)
        self.owners, self.strata = owners, strata
        products = self.features @ self.features.T
        squares = np.diag(products)
        self.distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
        self.kernel = kernel_of(products, features.shape[1])

    def mean(self, values: np.ndarray, chosen: np.ndarray) -> float:
        """The mean of `distances` or `kernel` over pairs of chosen images, as `mean_of_separate`."""
        return mean_of_separate(values[np.ix_(chosen, chosen)], self.owners[chosen], self.strata[chosen])

    def neighbours(self, chosen: np.ndarray) -> np.ndarray:
        """Distances between the chosen images, [n, n], infinite for the same owner."""
        separate = separated(self.owners[chosen])
        return np.where(separate, self.distances[np.ix_(chosen, chosen)], np.inf)


def mean_of_separate(values: np.ndarray, owners: np.ndarray, strata: np.ndarray) -> float:
    """The mean of values [n, n] over two independent images of different owners; NaN if there is no pair.

    Two conditions c and d have the weight of their proportions, w_c w_d. A plain mean over pairs is biased
    where the number of images of each condition is fixed, since an image is no pair with itself: pairs within
    a condition are then too few.

    Args:
        owners, strata: of the images, [n].
    """
    member = (strata[:, None] == np.unique(strata)).astype(np.float64)  # [n, conditions]
    separate = separated(owners)
    counts, sums = (member.T @ part @ member for part in (separate, values * separate))
    shares = member.mean(axis=0)
    weights = np.outer(shares, shares) * (counts > 0)
    if not weights.any():
        return float("nan")
    return float((weights * sums / np.maximum(counts, 1)).sum() / weights.sum())


def separated(owners: np.ndarray) -> np.ndarray:
    """Which pairs are of different owners [n]: bool [n, n]."""
    return owners[:, None] != owners
