"""How much the images of one set differ from each other."""

import numpy as np
from scipy.spatial.distance import pdist

_LARGEST = 2000  # images: two million pairs


def diversity(features: np.ndarray) -> float:
    """Mean Euclidean distance between the features of two different images, computed in float64.

    A generator that collapses makes images that are nearly the same: the ratio of its diversity to that of
    real images falls towards 0. Of more than 2000 images, a random sample of 2000 with a fixed seed is used.

    Args:
        features: [N, D], N at least 2.
    """
    assert len(features) >= 2, "a distance needs two images"
    return float(pdist(sample_of(features).astype(np.float64)).mean())


def sample_of(features: np.ndarray, most: int = _LARGEST) -> np.ndarray:
    """The features [N, D] themselves; of more than `most`, a random sample with a fixed seed."""
    if len(features) <= most:
        return features
    return features[np.random.default_rng(0).choice(len(features), most, replace=False)]
