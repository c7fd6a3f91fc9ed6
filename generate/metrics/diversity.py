"""How much the images of one set differ from each other."""

import numpy as np
from scipy.spatial.distance import pdist

from morphoscope.generate.metrics.selection import sample_of


def diversity(features: np.ndarray) -> float:
    """Mean Euclidean distance between the features of two different images, computed in float64.

    A generator that collapses makes images that are nearly the same: the ratio of its diversity to that of
    real images falls towards 0. Of more than 2000 images, a random sample of 2000 with a fixed seed is used.

    Args:
        features: [N, D], N at least 2.
    """
    assert len(features) >= 2, "a distance needs two images"
    return float(pdist(sample_of(features).astype(np.float64)).mean())
