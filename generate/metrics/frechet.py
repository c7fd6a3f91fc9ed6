"""Fréchet distance between two sets of features."""

import numpy as np
import scipy.linalg


class FeatureStatistics:
    """Number, mean and covariance of features that arrive in batches, in float64.

    The covariance is stored as a factor R with RᵀR = (N - 1)·covariance and at most D rows. Nothing is
    squared, so that no precision is lost with few images in many dimensions, where R has only about N rows.

    Attributes:
        count: N, number of images so far.
        mean: [D], float64.
        factor: R, [at most D, D], float64.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self.factor = np.zeros((0, 0))

    @classmethod
    def of(cls, features: np.ndarray) -> "FeatureStatistics":
        """The statistics of features [N, D], N at least 2."""
        statistics = cls()
        statistics.update(features)
        return statistics

    def update(self, features: np.ndarray) -> None:
        """Add a batch of features [n, D] (Chan et al. 1979: the shift of the mean adds one row to R)."""
        batch = np.asarray(features, dtype=np.float64)
        number, dimensions = batch.shape
        if self.count == 0:
            self.mean = np.zeros(dimensions)
            self.factor = np.zeros((0, dimensions))
        total = self.count + number
        shift = batch.mean(axis=0) - self.mean
        rows = [self.factor, batch - batch.mean(axis=0)]
        if self.count:
            rows.append(np.sqrt(self.count * number / total) * shift[None])
        self.factor = np.concatenate(rows)
        if len(self.factor) > dimensions:
            self.factor = scipy.linalg.qr(self.factor, mode="r", check_finite=False)[0][:dimensions]
        self.mean = self.mean + shift * (number / total)
        self.count = total


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """|μa - μb|² + tr(Ca + Cb - 2(Ca Cb)^½), never below 0 (Heusel et al. 2017, equation 6).

    With C = AᵀA the trace of the root is the sum of the singular values of Aa Abᵀ: exact for covariances of
    any rank, whereas the square root of their product is ill-conditioned. The estimate is biased upwards, the
    more so the fewer the images: compare only values from equal numbers of images.

    Args:
        a, b: of at least 2 images each, with the same D.
    """
    factor_a = a.factor / np.sqrt(a.count - 1)
    factor_b = b.factor / np.sqrt(b.count - 1)
    root = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    spread = np.square(factor_a).sum() + np.square(factor_b).sum() - 2 * root
    return max(float(np.square(a.mean - b.mean).sum() + spread), 0.0)
