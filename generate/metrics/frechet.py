"""Fréchet distance between two sets of features."""

import numpy as np
import scipy.linalg


class FeatureStatistics:
    """Number, mean and covariance of features that arrive in batches, in float64.

    The covariance is kept as a factor R of at most D rows with RᵀR = (N - 1)·covariance. Nothing is squared,
    so few images in many dimensions lose no digits, and their R has about N rows only.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self.factor = np.zeros((0, 0))

    @classmethod
    def of(cls, features: np.ndarray) -> "FeatureStatistics":
        """The statistics of features [N, D], N of at least 2."""
        statistics = cls()
        statistics.update(features)
        return statistics

    def update(self, features: np.ndarray) -> None:
        """Add a batch [n, D] (Chan et al. 1979: what the shift of the mean adds is one more row)."""
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
    any rank, where a root of their product would need care. Biased upwards for few images, the more the
    fewer: compare figures of equal numbers only.
    """
    factor_a = a.factor / np.sqrt(a.count - 1)
    factor_b = b.factor / np.sqrt(b.count - 1)
    root = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    spread = np.square(factor_a).sum() + np.square(factor_b).sum() - 2 * root
    return max(float(np.square(a.mean - b.mean).sum() + spread), 0.0)
