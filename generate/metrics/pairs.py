"""What is compared between any two of a number of images, computed once."""

import numpy as np

from morphoscope.generate.metrics.kernel import kernel_of


class Pairs:
    """The images of two sets together, T of them, and all their pairs, in float64.

    Attributes:
        features: [T, D].
        owners: patient of each image [T]; each generated image is one of its own.
        distances: Euclidean, between features, [T, T].
        kernel: that of the kernel distance, [T, T].
    """

    def __init__(self, features: np.ndarray, owners: np.ndarray) -> None:
        self.features = features.astype(np.float64)
        self.owners = owners
        products = self.features @ self.features.T
        squares = np.diag(products)
        self.distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
        self.kernel = kernel_of(products, features.shape[1])

    def mean(self, values: np.ndarray, chosen: np.ndarray) -> float:
        """The mean of `distances` or `kernel` over pairs of chosen images of different owners."""
        return mean_of_separate(values[np.ix_(chosen, chosen)], self.owners[chosen])

    def neighbours(self, chosen: np.ndarray) -> np.ndarray:
        """Distances between the chosen images, [n, n], infinite for the same owner."""
        separate = separated(self.owners[chosen])
        return np.where(separate, self.distances[np.ix_(chosen, chosen)], np.inf)


def mean_of_separate(values: np.ndarray, owners: np.ndarray) -> float:
    """The mean of values [n, n] over pairs of different owners [n]; NaN if there is none."""
    separate = separated(owners)
    count = separate.sum()
    return float((values * separate).sum() / count) if count else float("nan")


def separated(owners: np.ndarray) -> np.ndarray:
    """Which pairs are of different owners [n]: bool [n, n]."""
    return owners[:, None] != owners
