"""How much the images of one set differ among themselves."""

import numpy as np
from scipy.spatial.distance import pdist

_LARGEST = 2000  # images: two million pairs


def diversity(features: np.ndarray) -> float:
    """Mean Euclidean distance between two different images' features [N, D], in float64.

    A generator that collapses makes images that are all alike: the ratio of its diversity to that of real
    images falls towards 0. Of more than 2000 rows, 2000 drawn with a fixed seed stand for all.
    """
    assert len(features) >= 2, "a distance needs two images"
    if len(features) > _LARGEST:
        features = features[np.random.default_rng(0).choice(len(features), _LARGEST, replace=False)]
    return float(pdist(features.astype(np.float64)).mean())
